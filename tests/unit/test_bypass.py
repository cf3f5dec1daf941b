"""A worker that cannot reach Redis finds its work in PostgreSQL."""

import asyncio
from collections.abc import Collection
from datetime import datetime
from typing import cast

from rustok.events.consumer import Consumer, Counts, Drained
from rustok.jobs.runner import JobRunner
from rustok.kernel.errors import Unavailable
from rustok.telemetry.metrics import REDIS_BYPASSED
from rustok.testing import FixedClock
from workers.bypass import Bypass, BypassConfig


class Redis:
    """How long it has been away."""

    outage_s = 0.0


class Checkpoints:
    """Two consumers are behind: one of this worker's, and one that only a newer release knows."""

    is_away = False

    async def behind(self, now: datetime) -> Collection[str]:  # noqa: ARG002
        if self.is_away:
            raise Unavailable("PostgreSQL does not answer")
        return ["index", "of_another_release"]


class Drain:
    """A consumer; it fails once if it is told to."""

    name = "index"

    def __init__(self) -> None:
        self.drains, self.fails = 0, False

    async def drain(self) -> Drained:
        self.drains += 1
        if self.fails:
            self.fails = False
            raise RuntimeError("a fault of ours")
        return Drained(Counts(), has_more=False)


class Runner:
    """Has so many jobs ready, and is at the last of them until it may end."""

    def __init__(self, ready: int) -> None:
        self.ready, self.limits = ready, list[int]()
        self.at_work, self.may_end = asyncio.Event(), asyncio.Event()

    async def work_on_ready(self, _queue: str, limit: int) -> int:
        self.limits.append(limit)
        done = min(self.ready, limit)
        self.ready -= done
        if not self.ready:
            self.at_work.set()
            await self.may_end.wait()
        return done


class Standstill(FixedClock):
    async def sleep(self, seconds: float) -> None:  # noqa: ARG002
        """Never return."""
        await asyncio.Event().wait()


class Stage:
    def __init__(self, ready: int = 0) -> None:
        self.redis, self.checkpoints, self.index, self.runner = Redis(), Checkpoints(), Drain(), Runner(ready)
        self.bypass = Bypass(
            BypassConfig(jobs_at_a_time=2, looks_a_queue=2),
            outage_s=lambda: self.redis.outage_s,
            consumers={"index": cast("Consumer", self.index)},
            checkpoints=self.checkpoints,
            runner=cast("JobRunner", self.runner),
            queues=lambda: ["scripts"],
            clock=Standstill(),
        )

    async def look(self) -> None:
        """Let it look once, and what it starts go on until it waits for something."""
        await self.bypass.run_once()
        for _ in range(10):
            await asyncio.sleep(0)

    @property
    def done(self) -> tuple[int, list[int]]:
        return self.index.drains, self.runner.limits


async def test_nothing_is_done_while_messages_may_come() -> None:
    """An outage of a few seconds is over before it matters."""
    stage = Stage()
    for outage_s in (0.0, 4.9):
        stage.redis.outage_s = outage_s
        await stage.look()

    assert stage.done == (0, [])


async def test_consumers_that_are_behind_and_ready_jobs_are_worked_on() -> None:
    """Of each queue a share at a time, as long as there is a whole one."""
    stage = Stage(ready=5)
    stage.redis.outage_s = 5.0
    await stage.look()

    assert stage.done == (1, [2, 2, 2])  # the last one found one job, and is at it
    assert REDIS_BYPASSED._value.get() == 1


async def test_slow_jobs_hold_up_the_others_only_so_far() -> None:
    """A job may take minutes. Looks that pile up behind such jobs would hold all that is ready, so they are few."""
    stage = Stage()
    stage.redis.outage_s = 60.0
    for _ in range(4):
        await stage.look()

    assert stage.done == (4, [2, 2])

    stage.runner.may_end.set()
    await stage.look()
    await stage.look()
    assert stage.done == (6, [2, 2, 2])


async def test_messages_are_waited_for_again_when_redis_is_back() -> None:
    """And the figure says so."""
    stage = Stage()
    stage.redis.outage_s = 60.0
    await stage.look()
    stage.redis.outage_s = 0.0
    await stage.look()

    assert stage.done == (1, [2])
    assert REDIS_BYPASSED._value.get() == 0


async def test_postgresql_may_be_away_as_well() -> None:
    """Then there is nothing to do but to look again."""
    stage = Stage()
    stage.redis.outage_s, stage.checkpoints.is_away = 60.0, True
    await stage.look()
    assert stage.index.drains == 0

    stage.checkpoints.is_away = False
    await stage.look()
    assert stage.index.drains == 1


async def test_a_consumer_that_fails_is_drained_again() -> None:
    """Whatever it was: with Redis there, the next message would come back to it."""
    stage = Stage()
    stage.redis.outage_s, stage.index.fails = 60.0, True
    await stage.look()
    await stage.look()

    assert stage.index.drains == 2


async def test_what_is_under_way_ends_with_it() -> None:
    """A lease that nobody works on would be lost until its time."""
    stage = Stage(ready=1)
    stage.redis.outage_s = 60.0
    before = asyncio.all_tasks()
    watching = asyncio.create_task(stage.bypass.run())
    await asyncio.wait_for(stage.runner.at_work.wait(), 20)

    under_way = asyncio.all_tasks() - before
    watching.cancel()
    await asyncio.gather(*under_way, return_exceptions=True)

    assert [task.cancelled() for task in under_way] == [True, True]
