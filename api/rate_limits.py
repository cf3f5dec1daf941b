"""Bounds how many requests a tenant sends to this process: a bucket a tenant, which fills evenly. It costs no query.

The header fields are those of draft-ietf-httpapi-ratelimit-headers. Why each process counts for itself is in
docs/decisions/0032-each-process-bounds-its-requests.md.
"""

import math
from collections.abc import Hashable, Mapping
from typing import NamedTuple

from api.faults import RateLimited
from rustok.kernel.ports import Clock
from rustok.kernel.quota import Quota

_SWEEP_EVERY_S = 60.0
_DECIMALS = 6
"""Of a unit: the rounding of a clock must not cost one."""


Payer = Hashable
"""Whose bucket it is: a tenant, or the visitors of one."""


class RateLimits:
    """One a process. It knows of the payers whose buckets are not full, or were not a minute ago."""

    def __init__(self, quota: Quota, clock: Clock) -> None:
        self._quota = quota
        self._clock = clock
        self._buckets: dict[Payer, _Bucket] = {}
        self._swept_at_s = clock.monotonic_s()

    @property
    def payers(self) -> int:
        """How many are remembered."""
        return len(self._buckets)

    def charge(self, payer: Payer, own: Quota | None) -> None:
        """Take one unit of the payer's quota: its *own*, or that of all.

        Raises:
            RateLimited: none is left, and none was taken.

        """
        quota = own or self._quota
        left, more_in_s = _standing(quota, self._owed(payer))
        if left == 0:
            raise RateLimited(f"This tenant has used up its quota of {quota}: send the request later.", more_in_s)
        self.owe(payer, own, 1)

    def owe(self, payer: Payer, own: Quota | None, units: int) -> None:
        """Take *units*, whether they are left or not: a batch of more than are left is done, and waited for then."""
        quota = own or self._quota
        full_in_s = (self._owed(payer) + units) * quota.window_s / quota.units
        self._buckets[payer] = _Bucket(self._clock.monotonic_s() + full_in_s, quota)

    def fields(self, payer: Payer, own: Quota | None) -> Mapping[str, str]:
        """Return the header fields that tell the quota, what is left of it, and when there will be more."""
        quota = own or self._quota
        left, more_in_s = _standing(quota, self._owed(payer))
        return {
            "RateLimit-Policy": f'"tenant";q={quota.units};w={quota.window_s}',
            "RateLimit": f'"tenant";r={left};t={more_in_s}',
        }

    def _owed(self, payer: Payer) -> float:
        """Return how many units are missing in the bucket, whichever quota they were taken from."""
        now_s = self._clock.monotonic_s()
        if now_s - self._swept_at_s >= _SWEEP_EVERY_S:  # a full bucket says nothing that a new one would not
            self._buckets = {payer: bucket for payer, bucket in self._buckets.items() if bucket.full_at_s > now_s}
            self._swept_at_s = now_s
        bucket = self._buckets.get(payer)
        if bucket is None:
            return 0.0
        return max(0.0, bucket.full_at_s - now_s) * bucket.quota.units / bucket.quota.window_s


class _Bucket(NamedTuple):
    """When it will be full again, as that quota fills it."""

    full_at_s: float
    quota: Quota


def _standing(quota: Quota, owed: float) -> tuple[int, int]:
    """Return how many units are left, and in how many seconds there will be one more."""
    used = round(owed, _DECIMALS)
    left = max(0, math.floor(quota.units - used))
    return left, math.ceil((used + left + 1 - quota.units) * quota.window_s / quota.units)
