"""The rescuer looks at leases that ran out lately, and now and then at all of them."""

from collections.abc import Sequence
from dataclasses import dataclass

import pytest

from rustok.jobs.rescuer import Rescuer
from rustok.testing import FixedClock


@dataclass(frozen=True, slots=True)
class Lost:
    id: int = 1
    kind: str = "tenants.count"
    state: str = "ready"


class LeasesByHand:
    """Returns what a test has put into `lost`, and notes how far back it was asked for."""

    def __init__(self) -> None:
        self.lost: list[Lost] = []
        self.is_away = False
        self.asked: list[float | None] = []

    async def rescue(self, within_s: float | None = None) -> Sequence[Lost]:
        if self.is_away:
            raise ConnectionError
        self.asked.append(within_s)
        found, self.lost = self.lost, []
        return found


@pytest.fixture
def leases() -> LeasesByHand:
    return LeasesByHand()


@pytest.fixture
def clock() -> FixedClock:
    return FixedClock()


@pytest.fixture
def rescuer(leases: LeasesByHand, clock: FixedClock) -> Rescuer:
    return Rescuer(leases, clock)


async def test_the_first_look_is_at_all_leases(rescuer: Rescuer, leases: LeasesByHand, clock: FixedClock) -> None:
    """Whatever happened before this process; the next ones go back a little behind the one before."""
    await rescuer.run_once()
    clock.advance(1.0)
    await rescuer.run_once()

    assert leases.asked == [None, 31.0]


async def test_all_leases_are_looked_at_once_a_minute(
    rescuer: Rescuer, leases: LeasesByHand, clock: FixedClock
) -> None:
    """A job that its worker held for long, and did not end, is found then."""
    for _ in range(62):
        await rescuer.run_once()
        clock.advance(1.0)

    assert [second for second, within_s in enumerate(leases.asked) if within_s is None] == [0, 60]


async def test_while_something_is_found_the_next_look_goes_back_as_far(
    rescuer: Rescuer, leases: LeasesByHand, clock: FixedClock
) -> None:
    """One look takes so many at most."""
    await rescuer.run_once()
    for _ in range(2):
        clock.advance(1.0)
        leases.lost = [Lost()]
        await rescuer.run_once()
    clock.advance(1.0)
    await rescuer.run_once()
    clock.advance(1.0)
    await rescuer.run_once()

    assert leases.asked == [None, 31.0, 32.0, 33.0, 31.0]


async def test_what_ran_out_while_postgresql_was_away_is_looked_at(
    rescuer: Rescuer, leases: LeasesByHand, clock: FixedClock
) -> None:
    """A look that failed has seen nothing."""
    await rescuer.run_once()
    leases.is_away = True
    clock.advance(30.0)
    with pytest.raises(ConnectionError):
        await rescuer.run_once()
    leases.is_away = False
    clock.advance(1.0)
    await rescuer.run_once()

    assert leases.asked == [None, 61.0]
