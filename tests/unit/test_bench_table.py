"""The table at the end of `make bench`: what it says of a figure, its peer and its target."""

import pytest
from rich.console import Console

from tests.bench.figures import percentile
from tests.bench.table import Finding, Report, Target, print_reports, shown


@pytest.mark.parametrize(
    ("target", "ours", "peer", "is_met"),
    [
        (Target(">=", 0.12), 120.0, 1000.0, True),
        (Target(">=", 0.12), 119.0, 1000.0, False),
        (Target("<=", 1.2), 12.0, 10.0, True),
        (Target("<=", 1.2), 13.0, 10.0, False),
        (Target(">=", 500, "ours"), 500.0, 9000.0, True),
        (Target("<=", 15, "ours"), 15.1, None, False),
        (Target(">=", 0.12), 120.0, None, False),
        (None, 120.0, None, None),
    ],
)
def test_a_target_bounds_the_ratio_unless_it_names_our_figure(
    target: Target | None, ours: float, peer: float | None, is_met: bool | None
) -> None:
    """A ratio without a peer meets nothing; a figure without a target is only told."""
    assert Finding("a figure", ours, "/s", peer, target=target).is_met is is_met


def test_a_missed_target_cannot_be_overlooked() -> None:
    """The table says NO, beside figure, peer, ratio and target, and how it was measured below."""
    console = Console(record=True, width=160)
    finding = Finding("posts", 600.0, "/s", 6000.0, "pgbench", Target(">=", 0.12))

    print_reports([Report("write_path", "16 clients post", [finding], ["a note"])], console)

    lines = console.export_text().splitlines()
    [row] = [line for line in lines if "posts" in line]
    assert [cell.strip() for cell in row.split("│")[1:-1]] == [
        "write_path: posts",
        "600 /s",
        "6,000 pgbench",
        "0.1",
        ">= 0.12",
        "NO",
    ]
    assert lines[-2:] == ["write_path: 16 clients post", "  a note"]


@pytest.mark.parametrize(
    ("value", "text"), [(12345.6, "12,346"), (99.94, "99.9"), (0.12345, "0.123"), (0.0, "0"), (1 / 3, "0.333")]
)
def test_figures_have_three_significant_digits(value: float, text: str) -> None:
    """More would be noise on a machine that others share."""
    assert shown(value) == text


def test_a_percentile_is_a_value_that_was_measured() -> None:
    """Nothing is interpolated: the slowest of few stays visible."""
    assert [percentile([4.0, 1.0, 3.0, 2.0], share) for share in (0.5, 0.99)] == [3.0, 4.0]
