"""A worker takes up runs that its own consumers have made, as long as it is open."""

import asyncio
from collections.abc import Callable
from typing import cast

import pytest

from rustok.jobs.runner import JobRunner
from workers.eager import EagerRuns
from workers.script_runs import ScriptRuns


class Runs:
    """Has room for so many more, until it has not."""

    free = 1


class Runner:
    """Has work for one more, and is at it until it may end."""

    def __init__(self) -> None:
        self.ready, self.told = 1, 0
        self.heard, self.at_work, self.may_end = asyncio.Event(), asyncio.Event(), asyncio.Event()

    async def work_on_ready(self, _queue: str, _limit: int, on_leased: Callable[[int], None]) -> int:
        done, self.ready = self.ready, 0
        on_leased(done)
        self.at_work.set()
        await self.may_end.wait()
        return done

    def leased(self) -> None:
        self.told += 1
        self.heard.set()


def eager_runs(runner: Runner, free: int = 1) -> EagerRuns:
    runs = Runs()
    runs.free = free
    return EagerRuns("scripts", cast("ScriptRuns", runs), cast("JobRunner", runner), runner.leased)


async def test_runs_are_taken_up_as_they_are_made() -> None:
    """Without waiting for the relay's hint."""
    runner = Runner()

    looks = eager_runs(runner).jobs_made()

    await asyncio.wait_for(runner.at_work.wait(), 20)
    assert looks


@pytest.mark.parametrize("free", [1, 8])
async def test_the_feeder_is_told_of_what_is_left_before_the_runs_end(free: int) -> None:
    """A run may take seconds; what is no run, and what others could do, does not wait for it."""
    runner = Runner()

    eager_runs(runner, free).jobs_made()

    await asyncio.wait_for(runner.heard.wait(), 20)
    assert (runner.told, runner.may_end.is_set()) == (1, False)


async def test_who_is_at_it_does_not_look_again() -> None:
    """The feeder has to be told: what was made meanwhile is for other workers."""
    runner = Runner()
    eager = eager_runs(runner)
    eager.jobs_made()
    await asyncio.wait_for(runner.at_work.wait(), 20)

    assert not eager.jobs_made()


async def test_the_feeder_is_told_where_others_took_the_room_meanwhile() -> None:
    """Else what was made would wait for its poll."""
    runner, runs = Runner(), Runs()
    eager = EagerRuns("scripts", cast("ScriptRuns", runs), cast("JobRunner", runner), runner.leased)

    eager.jobs_made()
    runs.free = 0
    await asyncio.wait_for(runner.heard.wait(), 20)

    assert not runner.at_work.is_set()


async def test_nothing_is_taken_up_after_the_end() -> None:
    """A consumer that ends its batch late would start what nobody waits for."""
    eager = eager_runs(Runner())
    await eager.close()
    others = asyncio.all_tasks()

    looks = eager.jobs_made()

    assert not looks
    assert asyncio.all_tasks() == others
