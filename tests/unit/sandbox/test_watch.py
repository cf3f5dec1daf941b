"""Who is ended when the processes of a cage hold too much memory."""

from rustok.sandbox.watch import excess

_MB = 1 << 20
_USUAL = {1: 12 * _MB, 2: 12 * _MB}
"""A launcher and a forker."""


def test_nobody_is_ended_while_all_are_within_bounds_together() -> None:
    """One may hold more than its own then: it takes nothing from others."""
    held = {**_USUAL, 3: 100 * _MB, 4: 11 * _MB}

    assert excess(held, {3: 64 * _MB, 4: 0}) == ([], False)


def test_the_bound_grows_with_what_runs() -> None:
    """Two runs that may use a gigabyte each are no reason to end anybody."""
    gigabyte = 1024 * _MB
    held = {**_USUAL, 3: gigabyte, 4: gigabyte}

    assert excess(held, {3: gigabyte, 4: gigabyte}) == ([], False)


def test_the_worst_is_ended_first_and_no_more_than_needed() -> None:
    """By how far it exceeds its own budget, and not by its size."""
    held = {**_USUAL, 3: 900 * _MB, 4: 500 * _MB, 5: 100 * _MB}

    assert excess(held, {3: 1000 * _MB, 4: 64 * _MB, 5: 64 * _MB}) == ([4], False)


def test_what_is_not_the_childrens_is_told() -> None:
    """Then the zygotes are to be replaced."""
    held = {1: 12 * _MB, 2: 900 * _MB, 3: 11 * _MB}

    assert excess(held, {3: 0}) == ([], True)
