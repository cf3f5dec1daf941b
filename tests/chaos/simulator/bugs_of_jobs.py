"""Seeded bugs of hints and jobs: each is wrong in one way."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import replace
from functools import partial
from typing import Any
from uuid import UUID

from rustok.events.consumer import Consumer, Counts, Drained
from rustok.events.hints import Sweep
from rustok.jobs.feeder import Feeder
from rustok.jobs.ledger import Leased
from rustok.jobs.rescuer import Rescuer
from tests.chaos.simulator.database import Transaction
from tests.chaos.simulator.job_store import JobRow, SimulatedJobStore, end
from tests.chaos.simulator.work import Jobs


class NoSweep(Sweep):
    """Trusts that every hint arrives."""

    async def run_once(self) -> int:
        return 0


class LooksOnce(Consumer):
    """Does not look again: a wake-up that came while it held the shards is lost."""

    async def drain(self) -> Drained:
        return Drained(await self.run_once() or Counts(), has_more=False)


class NeverForgetsHints(Feeder):
    """Lets jobs that were taken up keep their places in the window."""

    async def _forget_taken(self, queue: Any) -> None:
        """Do nothing."""


class NeverRepeatsHints(Feeder):
    """Takes a lost hint for one that is on its way."""

    async def _forget_taken(self, queue: Any) -> None:
        for job_id in queue.hinted.keys() - await self._store.still_ready(queue.hinted):
            del queue.hinted[job_id]


class RemembersNoHints(Feeder):
    """Hints again at whatever is ready, each time it looks."""

    async def _forget_taken(self, queue: Any) -> None:
        queue.hinted.clear()


class EndsInTwoCommits(Jobs):
    """Commits the effect of a job, and then its end."""

    async def end(self, job: Leased) -> None:
        async with self._session.begin() as transaction:
            await self._take_effect(transaction, job)
        await self._session.run(partial(self._finish, job))


class EndsWithoutItsLease(Jobs):
    """Ends a job whoever has it by now."""

    def _finish(self, job: Leased, transaction: Transaction) -> None:
        row: JobRow | None = transaction.get("jobs", job.id)
        if row is not None:
            end(transaction, row, "done")


class GrantsWhatIsLeased(SimulatedJobStore):
    """Leases a job to whoever asks last."""

    def _may_be_granted(self, row: JobRow, transaction: Transaction) -> bool:
        return row.state != "dead" and row.due_at <= transaction.now


class IgnoresTokens(SimulatedJobStore):
    """Renews and releases leases that are somebody else's by now."""

    def _is_held(self, row: JobRow, token: UUID) -> bool:
        del token
        return row.state == "leased"


class RenewsForOthers(SimulatedJobStore):
    """Renews leases that are somebody else's by now."""

    async def renew(self, ids: Collection[UUID], token: UUID, lease_s: float) -> Mapping[UUID, bool]:
        return await IgnoresTokens(self._session, self._chance).renew(ids, token, lease_s)


class ReleasesForOthers(SimulatedJobStore):
    """Hands back jobs that are somebody else's by now."""

    async def release(self, ids: Collection[UUID], token: UUID) -> None:
        await IgnoresTokens(self._session, self._chance).release(ids, token)


class RescuesTheLiving(SimulatedJobStore):
    """Takes back every job that is leased."""

    def _is_lost(self, row: JobRow, transaction: Transaction) -> bool:
        del transaction
        return row.state == "leased"


class NoRescue(Rescuer):
    """Leaves the jobs of dead workers to them."""

    async def run_once(self) -> int:
        return 0


class CountsHints(SimulatedJobStore):
    """Counts an attempt when it hints at a job."""

    async def ready(
        self, queue: str, except_ids: Collection[UUID], limit: int, limit_a_tenant: int
    ) -> Sequence[tuple[UUID, UUID]]:
        jobs = await super().ready(queue, except_ids, limit, limit_a_tenant)
        await self._session.run(partial(_count_attempts, [job_id for job_id, _ in jobs]))
        return jobs


class NeverGivesUp(SimulatedJobStore):
    """Lets a job that used up its attempts be tried again."""

    async def fail(self, job: Leased, error: Mapping[str, Any], retry_in_s: float | None) -> None:
        await super().fail(job, error, retry_in_s or 1.0)


def _count_attempts(ids: Sequence[UUID], transaction: Transaction) -> None:
    for job_id in ids:
        row: JobRow | None = transaction.get("jobs", job_id)
        if row is not None:
            transaction.put("jobs", job_id, replace(row, attempts=row.attempts + 1))
