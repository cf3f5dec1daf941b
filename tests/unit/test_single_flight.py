"""However many ask at once, the work is done once."""

import asyncio

import pytest

from api.single_flight import LookUps, SingleFlight
from rustok.testing import FixedClock


class Work:
    """Counts its runs; each waits until it may end."""

    def __init__(self) -> None:
        self.runs = 0
        self.has_begun = asyncio.Event()
        self.may_end = asyncio.Event()

    async def __call__(self) -> int:
        self.runs += 1
        self.has_begun.set()
        run = self.runs
        await self.may_end.wait()
        return run


async def test_who_asks_while_it_runs_gets_the_same_result() -> None:
    """A storm of scrapes costs what one costs, however long that one takes."""
    work, clock = Work(), FixedClock()
    ask = SingleFlight(work, clock, fresh_s=1)
    asking = [asyncio.create_task(ask()) for _ in range(100)]
    await work.has_begun.wait()
    clock.advance(60)
    asking.append(asyncio.create_task(ask()))

    asyncio.get_running_loop().call_soon(work.may_end.set)

    assert {await asked for asked in asking} == {1}
    assert work.runs == 1


async def test_a_result_is_used_again_while_it_is_fresh() -> None:
    """Its age counts from the start of the run: what it says was looked at no earlier."""
    work, clock = Work(), FixedClock()
    work.may_end.set()
    ask = SingleFlight(work, clock, fresh_s=1)

    first = await ask()
    clock.advance(0.9)
    again = await ask()
    clock.advance(0.1)
    later = await ask()

    assert (first, again, later) == (1, 1, 2)


async def test_who_gives_up_takes_nothing_from_the_others() -> None:
    """One caller's cancellation ends its own waiting only."""
    work = Work()
    ask = SingleFlight(work, FixedClock(), fresh_s=1)
    impatient, patient = asyncio.create_task(ask()), asyncio.create_task(ask())
    await work.has_begun.wait()

    impatient.cancel()
    await asyncio.wait([impatient])
    work.may_end.set()

    assert impatient.cancelled()
    assert await patient == 1


class Looking:
    """Finds the number of each look; a gate holds them up while it is closed."""

    def __init__(self) -> None:
        self.looked_up: list[str] = []
        self.gate = asyncio.Event()
        self.gate.set()
        self.fails = False

    async def __call__(self, key: str) -> int:
        self.looked_up.append(key)
        number = len(self.looked_up)
        await self.gate.wait()
        if self.fails:
            raise ZeroDivisionError
        return number


def look_ups(looking: Looking, clock: FixedClock, most: int = 10) -> LookUps[str, int]:
    """Return what keeps odd results for ten seconds, and even ones for one."""
    return LookUps(looking, clock, lambda number: 10.0 if number % 2 else 1.0, most)


async def test_those_who_look_for_the_same_share_a_look() -> None:
    """Whoever looks for something else has one of its own."""
    looking = Looking()
    looking.gate.clear()
    find = look_ups(looking, FixedClock())
    asking = [asyncio.create_task(find(key)) for key in ["a"] * 50 + ["b"] * 50]
    asyncio.get_running_loop().call_soon(looking.gate.set)

    found = await asyncio.gather(*asking)

    assert (found, looking.looked_up) == ([1] * 50 + [2] * 50, ["a", "b"])


async def test_what_was_found_is_remembered_for_as_long_as_it_says() -> None:
    """By its own value."""
    looking, clock = Looking(), FixedClock()
    find = look_ups(looking, clock)

    at_first = await find("odd"), await find("even")
    clock.advance(1)
    later = await find("odd"), await find("even")
    clock.advance(9)
    at_last = await find("odd")

    assert (at_first, later, at_last) == ((1, 2), (1, 3), 4)


async def test_who_wants_it_fresh_does_not_get_what_is_remembered() -> None:
    """Nor a look that was under way, for it may have seen what was before; but one that is as fresh."""
    looking = Looking()
    find = look_ups(looking, FixedClock())
    looking.gate.clear()
    asking = [asyncio.create_task(find("a", fresh=fresh)) for fresh in (False, True, True, False)]
    asyncio.get_running_loop().call_soon(looking.gate.set)

    found = await asyncio.gather(*asking)

    assert (found, await find("a", fresh=True), await find("a")) == ([1, 2, 2, 2], 3, 3)


async def test_a_look_that_failed_is_not_remembered() -> None:
    """The next one looks again, and all who asked are told."""
    looking = Looking()
    find = look_ups(looking, FixedClock())
    looking.fails = True
    with pytest.raises(ZeroDivisionError):
        await find("a")
    looking.fails = False

    assert await find("a") == 2


async def test_the_memory_is_bounded() -> None:
    """Whoever asks for ever other things pushes out what nobody asks for."""
    looking = Looking()
    find = look_ups(looking, FixedClock(), most=2)
    for key in ("a", "b", "a", "c"):
        await find(key)

    assert (await find("a"), looking.looked_up) == (1, ["a", "b", "c"])
    assert (await find("b"), looking.looked_up) == (4, ["a", "b", "c", "b"])
