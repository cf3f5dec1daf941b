"""Medians and percentiles."""

from collections.abc import Iterable
from statistics import median

__all__ = ["median", "percentile"]


def percentile(values: Iterable[float], share: float) -> float:
    """Return the smallest of *values* that *share* (0 to 1) of them do not exceed."""
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, int(share * len(ordered)))]
