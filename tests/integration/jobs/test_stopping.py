"""A worker that stops hands back what it has in hand: others do it at once, and no attempt is counted."""

import asyncio
from collections.abc import Sequence
from typing import Any
from uuid import UUID

from rustok.jobs import Leased, NewJob
from rustok.jobs.runner import JobRunner, RunnerConfig
from rustok.jobs.store import PostgresJobStore
from rustok.runtime import SystemClock
from tests.integration.jobs.ledger import COUNT, Ledger

COUNT_OF_JOBS = 30


class Held:
    """Handles jobs by never ending them; `all_begun` once *count* of them are under way."""

    def __init__(self, count: int) -> None:
        self._missing = count
        self._never = asyncio.Event()
        self.all_begun = asyncio.Event()

    async def __call__(self, _job: Leased) -> None:
        self._missing -= 1
        if not self._missing:
            self.all_begun.set()
        await self._never.wait()


class StoppedMeanwhile(PostgresJobStore):
    """Grants leases while the runner is being stopped."""

    async def grant(self, ids: Sequence[UUID], lease_s: float) -> Sequence[Leased]:
        jobs = await super().grant(ids, lease_s)
        self.stopping = asyncio.create_task(self.runner.stop())
        await asyncio.sleep(0)  # it has begun
        return jobs

    runner: JobRunner
    stopping: asyncio.Task[None]


async def some_jobs(ledger: Ledger) -> list[UUID]:
    return await ledger.add(*[NewJob(kind=COUNT, args={"to": number}) for number in range(COUNT_OF_JOBS)])


async def states(ledger: Ledger, ids: Sequence[UUID]) -> set[tuple[Any, ...]]:
    rows = [await ledger.row(job_id) for job_id in ids]
    return {(row.state, row.attempts, row.lease_token) for row in rows}


async def test_stopping_hands_back_everything_that_runs(ledger: Ledger) -> None:
    """Before it returns; what a late message asks for is left alone."""
    ids, held = await some_jobs(ledger), Held(COUNT_OF_JOBS)
    runner = ledger.runner(held)
    working = asyncio.create_task(runner.work(ids))
    await held.all_begun.wait()

    await runner.stop()

    assert await states(ledger, ids) == {("ready", 0, None)}
    assert (await working, await runner.work(ids)) == (COUNT_OF_JOBS, 0)


async def test_jobs_that_are_leased_while_the_worker_stops_are_handed_back(ledger: Ledger) -> None:
    """None of them begins."""
    ids = await some_jobs(ledger)
    store = StoppedMeanwhile(ledger.platform.system_engine)
    store.runner = JobRunner(RunnerConfig(), store, {COUNT.name: Held(1)}, SystemClock())

    await store.runner.work(ids)
    await store.stopping

    assert await states(ledger, ids) == {("ready", 0, None)}


async def test_an_event_loop_that_ends_hands_back_what_runs_on_it(ledger: Ledger) -> None:
    """Every task is cancelled there, the jobs and who waits for them, some of them twice."""
    ids, held = await some_jobs(ledger), Held(COUNT_OF_JOBS)
    others = asyncio.all_tasks()
    working = asyncio.create_task(ledger.runner(held).work(ids))
    await held.all_begun.wait()

    for task in asyncio.all_tasks() - others:
        task.cancel()
    await asyncio.wait([working])

    assert await states(ledger, ids) == {("ready", 0, None)}


async def test_a_stop_leaves_alone_what_somebody_else_has_by_now(ledger: Ledger) -> None:
    """Its lease ran out, and was granted again: that worker's attempt goes on."""
    [job_id], held = await ledger.add(), Held(1)
    runner = ledger.runner(held)
    working = asyncio.create_task(runner.work([job_id]))
    await held.all_begun.wait()
    await ledger.lose_leases()
    await ledger.store.rescue()
    [other] = await ledger.grant([job_id])

    await runner.stop()
    await working

    row = await ledger.row(job_id)
    assert (row.state, row.attempts, row.lease_token) == ("leased", 2, other.token)
