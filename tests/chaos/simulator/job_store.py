"""The ledger of jobs on the stand-in for PostgreSQL."""

import random
from collections import Counter
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from functools import partial
from typing import Any
from uuid import UUID

from rustok.jobs.ledger import Asker, Leased, LeaseLost, NewJob
from rustok.jobs.shares import Standing
from tests.chaos.simulator.database import Transaction
from tests.chaos.simulator.session import Session


@dataclass(frozen=True, slots=True, kw_only=True)
class JobRow:
    asker: Asker
    job: NewJob
    state: str
    due_at: datetime
    created_at: datetime
    attempts: int = 0
    token: UUID | None = None
    lease_expires_at: datetime | None = None
    is_cancelled: bool = False
    error: Mapping[str, Any] | None = None

    def __post_init__(self) -> None:
        if self.attempts < 0:
            raise ValueError(f"job {self.id}: attempts >= 0 is violated")

    @property
    def id(self) -> UUID:
        return self.job.id

    def is_ready(self, now: datetime) -> bool:
        return self.state == "ready" and self.due_at <= now

    def is_held(self, token: UUID) -> bool:
        return self.state == "leased" and self.token == token

    def back(self, due_at: datetime, attempts: int) -> "JobRow":
        return replace(self, state="ready", token=None, lease_expires_at=None, due_at=due_at, attempts=attempts)

    def leased(self) -> Leased:
        assert self.token is not None
        return Leased(
            id=self.id,
            tenant_id=self.asker.tenant_id,
            kind=self.job.kind.name,
            args=self.job.args,
            attempt=self.attempts,
            max_attempts=self.job.kind.max_attempts,
            is_cancelled=self.is_cancelled,
            actor=self.asker.actor,
            correlation_id=self.asker.correlation_id,
            causation_id=self.asker.causation_id,
            traceparent=self.asker.traceparent,
            created_at=self.created_at,
            token=self.token,
        )


@dataclass(frozen=True, slots=True)
class Rescued:
    id: UUID
    kind: str
    state: str


def enqueue(transaction: Transaction, jobs: Iterable[tuple[Asker, NewJob]]) -> None:
    """Make jobs, but none whose id was used before, or whose key another one has that waits or runs."""
    keys = {_dedup_key(row) for _, row in transaction.rows("jobs") if row.state != "dead"} - {None}
    for asker, job in jobs:
        due_at = job.due_at or transaction.now
        row = JobRow(asker=asker, job=job, state="ready", due_at=due_at, created_at=transaction.now)
        is_known = transaction.get("jobs", job.id) or transaction.get("finished_jobs", job.id)
        if not is_known and _dedup_key(row) not in keys:
            transaction.put("jobs", job.id, row)
            keys |= {_dedup_key(row)} - {None}


def finish(transaction: Transaction, job: Leased, outcome: str = "done") -> None:
    """End *job* for good. Raises LeaseLost."""
    end(transaction, _held(transaction, job), outcome)


def end(transaction: Transaction, row: JobRow, outcome: str) -> None:
    """Move a job from the hot table to the finished ones."""
    transaction.put("jobs", row.id, None)
    transaction.put("finished_jobs", row.id, replace(row, state=outcome, token=None, lease_expires_at=None))


def cancel(transaction: Transaction, row: JobRow) -> None:
    """End a job that waits; let the worker know of one that runs."""
    if row.state == "leased":
        transaction.put("jobs", row.id, replace(row, is_cancelled=True))
    else:
        end(transaction, row, "cancelled")


class SimulatedJobStore:
    def __init__(self, session: Session, chance: random.Random) -> None:
        self._session = session
        self._chance = chance

    async def ready(
        self, queue: str, except_ids: Collection[UUID], limit: int, limit_a_tenant: int
    ) -> Sequence[tuple[UUID, UUID]]:
        return await self._session.run(partial(_ready, queue, set(except_ids), limit, limit_a_tenant))

    async def still_ready(self, ids: Collection[UUID]) -> Mapping[UUID, bool]:
        wanted = list(ids)
        return await self._session.run(lambda t: {row.id: True for row in _rows(t, wanted) if row.is_ready(t.now)})

    async def grant(self, ids: Sequence[UUID], lease_s: float) -> Sequence[Leased]:
        return await self._session.run(partial(self._grant, lambda _: ids, lease_s))

    async def grant_ready(self, queue: str, limit: int, lease_s: float) -> Sequence[Leased]:
        return await self._session.run(partial(self._grant, partial(_ready_ids, queue, limit), lease_s))

    async def standings(self, queue: str) -> Mapping[UUID, Standing]:
        def count(transaction: Transaction) -> Counter[UUID]:
            rows = (row for _, row in transaction.rows("jobs") if row.job.kind.queue == queue)
            return Counter(row.asker.tenant_id for row in rows if row.state == "leased")

        leased = await self._session.run(count)
        return {tenant_id: Standing(count) for tenant_id, count in leased.items()}

    async def renew(self, ids: Collection[UUID], token: UUID, lease_s: float) -> Mapping[UUID, bool]:
        wanted = list(ids)

        def renew(transaction: Transaction) -> dict[UUID, bool]:
            held = [row for row in _rows(transaction, wanted) if self._is_held(row, token)]
            for row in held:
                expires_at = transaction.now + timedelta(seconds=lease_s)
                transaction.put("jobs", row.id, replace(row, lease_expires_at=expires_at))
            return {row.id: row.is_cancelled for row in held}

        return await self._session.run(renew)

    async def release(self, ids: Collection[UUID], token: UUID) -> None:
        wanted = list(ids)

        def release(transaction: Transaction) -> None:
            for row in _rows(transaction, wanted):
                if self._is_held(row, token):
                    transaction.put("jobs", row.id, row.back(row.due_at, row.attempts - 1))

        await self._session.run(release)

    async def finish(self, ended: Sequence[tuple[Leased, Any]], outcome: str = "done") -> Collection[UUID]:
        def finish_held(transaction: Transaction) -> set[UUID]:
            held = {job.id: row for job, _ in ended if (row := _if_held(transaction, job))}
            for row in held.values():
                end(transaction, row, outcome)
            return {*held}

        return await self._session.run(finish_held)

    async def fail(self, job: Leased, error: Mapping[str, Any], retry_in_s: float | None) -> None:
        def fail(transaction: Transaction) -> None:
            row = _held(transaction, job)
            failed = row.back(transaction.now + timedelta(seconds=retry_in_s or 0.0), row.attempts)
            state = "dead" if retry_in_s is None else "ready"
            transaction.put("jobs", job.id, replace(failed, state=state, error=error))

        await self._session.run(fail)

    async def park_unknown(self, job: Leased) -> None:
        def park(transaction: Transaction) -> None:
            row = _held(transaction, job)
            parked = row.back(transaction.now, row.attempts - 1)
            transaction.put("jobs", job.id, replace(parked, state="needs_version"))

        await self._session.run(park)

    async def hand_back(self, job: Leased, delay_s: float) -> None:
        def hand_back(transaction: Transaction) -> None:
            row = _held(transaction, job)
            transaction.put("jobs", job.id, row.back(transaction.now + timedelta(seconds=delay_s), row.attempts - 1))

        await self._session.run(hand_back)

    async def rescue(self, within_s: float | None = None) -> Sequence[Rescued]:
        return await self._session.run(partial(self._rescue, within_s))

    def _is_held(self, row: JobRow, token: UUID) -> bool:
        return row.is_held(token)

    def _grant(
        self, choose: Callable[[Transaction], Sequence[UUID]], lease_s: float, transaction: Transaction
    ) -> Sequence[Leased]:
        token = UUID(int=self._chance.getrandbits(128))
        expires_at = transaction.now + timedelta(seconds=lease_s)
        granted = [
            replace(row, state="leased", attempts=row.attempts + 1, token=token, lease_expires_at=expires_at)
            for row in _rows(transaction, sorted(choose(transaction)))
            if self._may_be_granted(row, transaction) and transaction.is_free("jobs", row.id)
        ]
        for row in granted:
            transaction.put("jobs", row.id, row)
        return [row.leased() for row in granted]

    def _may_be_granted(self, row: JobRow, transaction: Transaction) -> bool:
        return row.is_ready(transaction.now)

    def _rescue(self, within_s: float | None, transaction: Transaction) -> Sequence[Rescued]:
        leased = [row for _, row in transaction.rows("jobs") if row.state == "leased"]
        lost = [row for row in leased if _is_since(row, within_s, transaction) and self._is_lost(row, transaction)]
        return [self._take_back(row, transaction) for row in lost if transaction.is_free("jobs", row.id)]

    def _is_lost(self, row: JobRow, transaction: Transaction) -> bool:
        return row.lease_expires_at is not None and row.lease_expires_at < transaction.now

    def _take_back(self, row: JobRow, transaction: Transaction) -> Rescued:
        if row.is_cancelled:
            end(transaction, row, "cancelled")
            return Rescued(row.id, row.job.kind.name, "cancelled")
        state = "dead" if row.attempts >= row.job.kind.max_attempts else "ready"
        error = {"code": "worker_lost", "message": "The worker stopped in the middle of the job."}
        transaction.put("jobs", row.id, replace(row.back(transaction.now, row.attempts), state=state, error=error))
        return Rescued(row.id, row.job.kind.name, state)


def _is_since(row: JobRow, within_s: float | None, transaction: Transaction) -> bool:
    """Tell whether the lease of *row* ran out so many seconds ago at most."""
    since = transaction.now - timedelta(seconds=within_s or 0.0)
    return within_s is None or (row.lease_expires_at is not None and row.lease_expires_at >= since)


def _rows(transaction: Transaction, ids: Iterable[UUID]) -> list[JobRow]:
    return [row for job_id in dict.fromkeys(ids) if (row := transaction.get("jobs", job_id))]


def _ready(
    queue: str, except_ids: set[UUID], limit: int, limit_a_tenant: int, transaction: Transaction
) -> Sequence[tuple[UUID, UUID]]:
    """Return jobs that are due, with their tenants, in turns by tenant, each one's most urgent first."""
    by_tenant: dict[UUID, list[JobRow]] = {}
    for _, row in transaction.rows("jobs"):
        if row.job.kind.queue == queue and row.is_ready(transaction.now) and row.id not in except_ids:
            by_tenant.setdefault(row.asker.tenant_id, []).append(row)
    turns = [
        (turn, row.due_at, row.id, tenant_id)
        for tenant_id, rows in by_tenant.items()
        for turn, row in enumerate(sorted(rows, key=lambda row: (-row.job.priority, row.due_at, row.id)))
        if turn < limit_a_tenant
    ]
    return [(job_id, tenant_id) for _, _, job_id, tenant_id in sorted(turns)[:limit]]


def _ready_ids(queue: str, limit: int, transaction: Transaction) -> Sequence[UUID]:
    return [job_id for job_id, _ in _ready(queue, set(), limit, limit, transaction)]


def _held(transaction: Transaction, job: Leased) -> JobRow:
    """Lock and return the row of a job that is held with its lease. Raises LeaseLost."""
    row = _if_held(transaction, job)
    if row is None:
        raise LeaseLost(f"job {job.id} is not held with this lease any more")
    return row


def _if_held(transaction: Transaction, job: Leased) -> JobRow | None:
    """Lock and return the row of a job, None if it is not held with its lease."""
    row: JobRow | None = transaction.get("jobs", job.id)
    if row is None or not row.is_held(job.token):
        return None
    transaction.lock("jobs", job.id)
    return row


def _dedup_key(row: JobRow) -> tuple[UUID, str, str] | None:
    key = row.job.dedup_key
    return None if key is None else (row.asker.tenant_id, row.job.kind.name, key)
