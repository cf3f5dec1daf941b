"""A worker takes up runs that its own consumers have made, as long as it is open."""

import asyncio
from collections.abc import Collection, Sequence
from typing import cast
from uuid import UUID

from rustok.jobs.runner import JobRunner
from rustok.jobs.store import PostgresJobStore
from rustok.kernel.ids import uuid7
from workers.eager import EagerRuns
from workers.script_runs import ScriptRuns


class Runs:
    """Has room for one more, always."""

    free = 1


class OneJob:
    """A store with one job that is ready, and the runner that does it."""

    def __init__(self) -> None:
        self.ids, self.done = [uuid7()], asyncio.Event()

    async def ready(self, _queue: str, _except_ids: Collection[UUID], _limit: int) -> Sequence[UUID]:
        return self.ids

    async def work(self, ids: Sequence[UUID]) -> int:
        self.ids = []
        self.done.set()
        return len(ids)


def eager_runs(jobs: OneJob) -> EagerRuns:
    return EagerRuns("scripts", cast("ScriptRuns", Runs()), cast("PostgresJobStore", jobs), cast("JobRunner", jobs))


async def test_runs_are_taken_up_as_they_are_made() -> None:
    """Without waiting for the relay's hint."""
    jobs = OneJob()

    eager_runs(jobs).jobs_made()

    await asyncio.wait_for(jobs.done.wait(), 20)


async def test_nothing_is_taken_up_after_the_end() -> None:
    """A consumer that ends its batch late would start what nobody waits for."""
    jobs = OneJob()
    eager = eager_runs(jobs)
    await eager.close()
    others = asyncio.all_tasks()

    eager.jobs_made()

    assert asyncio.all_tasks() == others
