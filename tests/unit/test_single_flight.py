"""However many ask at once, the work is done once."""

import asyncio

from api.single_flight import SingleFlight
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
