"""Messages that come together are leased together, and each has the jobs that it is about."""

import asyncio
from collections import Counter
from collections.abc import Sequence
from uuid import UUID

import pytest

from rustok.jobs import Leased, NewJob
from rustok.jobs.runner import Done, JobRunner, RunnerConfig
from rustok.jobs.store import PostgresJobStore
from rustok.runtime import SystemClock
from tests.integration.jobs.ledger import COUNT, Ledger


class WatchedStore(PostgresJobStore):
    """Notes what is asked for together, and cannot lease `unleasable`."""

    def __init__(self, ledger: Ledger, unleasable: UUID | None = None) -> None:
        super().__init__(ledger.platform.system_engine)
        self.asked: list[Sequence[UUID]] = []
        self.unleasable = unleasable

    async def grant(self, ids: Sequence[UUID], lease_s: float) -> Sequence[Leased]:
        self.asked.append(ids)
        if self.unleasable in ids:
            raise ValueError("it has arguments that nobody can read")
        return await super().grant(ids, lease_s)


class Counting:
    """Does jobs, and counts how often each."""

    def __init__(self, store: WatchedStore) -> None:
        self.done: Counter[UUID] = Counter()
        self._runner = JobRunner(RunnerConfig(), store, {COUNT.name: self._count}, SystemClock())

    async def work(self, *messages: Sequence[UUID]) -> list[int | BaseException]:
        """Take all these messages at once; return how many jobs each had, or what it raised."""
        return await asyncio.gather(*map(self._runner.work, messages), return_exceptions=True)

    async def _count(self, job: Leased) -> Done:
        self.done[job.id] += 1
        return Done()


async def some_jobs(ledger: Ledger, count: int) -> list[UUID]:
    return await ledger.add(*[NewJob(kind=COUNT, args={}) for _ in range(count)])


async def test_messages_that_come_at_once_share_a_statement(ledger: Ledger) -> None:
    """A statement a message is what most of the time of short jobs would go to."""
    ids = await some_jobs(ledger, 6)
    counting = Counting(store := WatchedStore(ledger))

    had = await counting.work(ids[:1], ids[1:3], ids[3:])

    assert (had, store.asked) == ([1, 2, 3], [ids])
    assert counting.done == Counter(ids)


async def test_a_job_that_two_messages_are_about_is_done_once(ledger: Ledger) -> None:
    """A message may be delivered twice, to the same process and at the same time."""
    first, twice, last = await some_jobs(ledger, 3)
    counting = Counting(WatchedStore(ledger))

    had = await counting.work([first], [twice], [twice, last])

    assert (had, counting.done) == ([1, 1, 1], Counter([first, twice, last]))


async def test_what_cannot_be_leased_leaves_the_others_alone(ledger: Ledger) -> None:
    first, bad, last = await some_jobs(ledger, 3)
    counting = Counting(WatchedStore(ledger, unleasable=bad))

    had = await counting.work([first], [bad], [last])

    assert [had[0], had[2]] == [1, 1]
    with pytest.raises(ValueError, match="nobody can read"):
        raise had[1]  # type: ignore[misc]
    assert counting.done == Counter([first, last])
