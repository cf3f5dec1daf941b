"""How long one waits before work is tried again that somebody else has got ahead of."""

from api.retries import pauses_s
from rustok.testing import FixedClock


class Chance:
    """Falls on the upper bound, and remembers what it was asked for."""

    def __init__(self) -> None:
        self.bounds: list[tuple[float, float]] = []

    def uniform(self, lowest: float, highest: float) -> float:
        self.bounds.append((lowest, highest))
        return highest


def test_pauses_are_anything_up_to_a_bound_that_doubles() -> None:
    """Full jitter: those who failed together do not come back together."""
    clock, chance = FixedClock(), Chance()

    for pause_s in pauses_s(clock, chance.uniform):
        clock.advance(pause_s)

    assert chance.bounds[:7] == [(0, bound) for bound in (0.01, 0.02, 0.04, 0.08, 0.16, 0.2, 0.2)]


def test_pauses_end_after_two_seconds() -> None:
    """What is done between them counts."""
    clock = FixedClock()

    for pause_s in pauses_s(clock):
        clock.advance(0.5 + pause_s)

    assert 2.0 <= clock.monotonic_s() <= 2.7


def test_there_is_one_pause_at_least() -> None:
    """However long it takes what is done before the next."""
    clock, count = FixedClock(), 0

    for _ in pauses_s(clock):
        clock.advance(3)
        count += 1

    assert count == 1
