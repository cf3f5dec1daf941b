"""The life of a job in statements: asked for, leased, and ended by whoever holds the lease, or nobody.

Each takes a transaction, so that a job begins with the rows that ask for it and ends with the effects it had.
Time is PostgreSQL's own.
"""

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Protocol
from uuid import UUID

from sqlalchemy import TextClause, text

from rustok.db.engine import to_json
from rustok.db.transaction import Rows
from rustok.db.unit_of_work import UnitOfWork
from rustok.jobs.history import into_history
from rustok.kernel.ids import uuid7
from rustok.kernel.module import JobKind
from rustok.kernel.ports import MadeJob

# The look into history is a subquery: a join is planned once for all partitions, and reads them from end to end.
_ENQUEUE = text(
    """
    INSERT INTO jobs (tenant_id, id, queue, kind, args, priority, state, max_attempts, due_at, dedup_key,
                      actor, correlation_id, causation_id, traceparent, created_at)
    SELECT tenant_id, id, queue, kind, args, priority, 'ready', max_attempts, coalesce(due_at, now()), dedup_key,
           actor, correlation_id, causation_id, traceparent, now()
      FROM json_to_recordset(CAST(:jobs AS json)) AS job (
           tenant_id uuid, id uuid, queue text, kind text, args jsonb, priority smallint, max_attempts integer,
           due_at timestamptz, dedup_key text, actor text, correlation_id uuid, causation_id uuid, traceparent text)
     WHERE (SELECT f.id FROM finished_jobs AS f WHERE f.id = job.id AND f.tenant_id = job.tenant_id) IS NULL
        ON CONFLICT DO NOTHING
    """
)
AS_NEW = "state = 'ready', attempts = 0, due_at = now(), is_cancelled = false, dedup_key = NULL"
"""What a job becomes that is to be tried again. Another job may have its key by now."""
_REDRIVE = text(
    f"""
    UPDATE jobs SET {AS_NEW}
     WHERE tenant_id = :tenant_id AND state = 'dead' AND kind = :kind AND args @> CAST(:args AS jsonb)
       AND (CAST(:id AS uuid) IS NULL OR id = :id)
    """
)
_HELD = "id = :id AND state = 'leased' AND lease_token = :token"
_FINISH = text(
    f"""
    WITH ended AS (
        DELETE FROM jobs USING json_to_recordset(CAST(:ended AS json)) AS e (id uuid, token uuid, result jsonb)
         WHERE jobs.id = e.id AND jobs.state = 'leased' AND jobs.lease_token = e.token
        RETURNING jobs.*, e.result
    )
    {into_history("ended", ":outcome", "result")}
    RETURNING id
    """
)
_FAIL = text(
    f"""
    UPDATE jobs SET state = CASE WHEN :is_final THEN 'dead' ELSE 'ready' END, lease_token = NULL,
                    lease_expires_at = NULL, due_at = now() + make_interval(secs => :delay_s),
                    error = CAST(:error AS jsonb)
     WHERE {_HELD}
    """
)
_UNCOUNTED = "attempts = attempts - 1, lease_token = NULL, lease_expires_at = NULL"
_GIVE_START_BACK = "RETURNING give_start_back(queue, kind, tenant_id)"
_HAND_BACK = text(
    f"""
    UPDATE jobs SET state = 'ready', {_UNCOUNTED}, due_at = now() + make_interval(secs => :delay_s)
     WHERE {_HELD}
    """
)
_PUT_OFF = text(
    f"""
    UPDATE jobs SET state = 'ready', {_UNCOUNTED}, due_at = now() + make_interval(secs => :delay_s),
                    error = coalesce(CAST(:error AS jsonb), error)
     WHERE {_HELD} {_GIVE_START_BACK}
    """
)
# As if it had never been leased; it is found by `rustok.jobs.newer_kinds` alone.
_PARK_UNKNOWN = text(f"UPDATE jobs SET state = 'needs_version', {_UNCOUNTED} WHERE {_HELD} {_GIVE_START_BACK}")
_REPORT = text(f"UPDATE jobs SET progress = CAST(:progress AS jsonb) WHERE {_HELD}")


class LeaseLost(Exception):
    """Somebody else has the job by now: whatever this transaction did must be rolled back."""


class Statements(Protocol):
    """What runs statements in a transaction: a unit of work, or a transaction of the role system."""

    async def execute(self, statement: TextClause, parameters: Mapping[str, Any] | None = None) -> Rows: ...


@dataclass(frozen=True, slots=True, kw_only=True)
class NewJob:
    """Work to be done once.

    `priority`: higher goes first, within a tenant. `dedup_key`: while a job of the tenant and kind with this key
    waits or runs, another one is not made. `due_at`: now, where it is None or past. A job whose `id` was used before,
    even by one that has ended, is not made. The id begins with a time, as those of `uuid7` and `derived_id` do: history
    is kept by it.
    """

    kind: JobKind
    args: Mapping[str, Any]
    id: UUID = field(default_factory=uuid7)
    priority: int = 0
    due_at: datetime | None = None
    dedup_key: str | None = None


@dataclass(frozen=True, slots=True)
class Leased:
    """A job in the hands of this process until its lease runs out; `attempt` counts from 1."""

    id: UUID
    tenant_id: UUID
    kind: str
    args: Mapping[str, Any]
    attempt: int
    max_attempts: int
    is_cancelled: bool
    actor: str
    correlation_id: UUID
    causation_id: UUID | None
    traceparent: str | None
    created_at: datetime
    token: UUID

    @property
    def is_last_attempt(self) -> bool:
        return self.attempt >= self.max_attempts


@dataclass(frozen=True, slots=True, kw_only=True)
class Asker:
    """On whose behalf, and in what chain of causes, jobs are made."""

    tenant_id: UUID
    actor: str
    correlation_id: UUID
    causation_id: UUID | None
    traceparent: str | None = None


async def enqueue(uow: UnitOfWork, jobs: Sequence[NewJob]) -> None:
    """Make *jobs* with the transaction of *uow*; they start after its commit."""
    context = uow.context
    asker = Asker(
        tenant_id=context.tenant_id,
        actor=context.principal.actor,
        correlation_id=context.correlation_id,
        causation_id=context.causation_id,
        traceparent=context.traceparent,
    )
    await enqueue_for(uow, [(asker, job) for job in jobs])
    uow.jobs_made([MadeJob(job.kind.queue, job.id, context.tenant_id) for job in jobs if job.due_at is None])


async def enqueue_for(transaction: Statements, jobs: Iterable[tuple[Asker, NewJob]]) -> None:
    """Make jobs of any tenants with one statement."""
    rows = [_row(asker, job) for asker, job in jobs]
    if rows:
        await transaction.execute(_ENQUEUE, {"jobs": to_json(rows)})


async def redrive(uow: UnitOfWork, kind: JobKind, args: Mapping[str, Any], job_id: UUID | None = None) -> int:
    """Make dead letters of *kind* that have these *args* (and this id) ready again, with all their attempts.

    They have no key any more: another job may have it by now.
    Returns how many there were.
    """
    values = {"kind": kind.name, "args": to_json(args), "id": job_id}
    uow.jobs_made()
    return (await uow.execute(_REDRIVE, {"tenant_id": uow.tenant_id, **values})).rowcount


async def finish(transaction: Statements, job: Leased, result: Any = None, outcome: str = "done") -> None:
    """End *job* for good.

    Raises:
        LeaseLost: it is somebody else's by now.

    """
    await finish_all(transaction, [(job, result)], outcome)


async def finish_all(transaction: Statements, ended: Sequence[tuple[Leased, Any]], outcome: str = "done") -> None:
    """End jobs for good, each with its result, with one statement.

    Raises:
        LeaseLost: one of them is somebody else's by now.

    """
    lost = len(ended) - len(await finish_held(transaction, ended, outcome))
    if lost:
        raise LeaseLost(f"{lost} of {len(ended)} jobs are not held with their lease any more")


async def finish_held(
    transaction: Statements, ended: Sequence[tuple[Leased, Any]], outcome: str = "done"
) -> Collection[UUID]:
    """End those jobs that are still held with their lease, as `finish_all` does; return their ids."""
    in_order = sorted(ended, key=lambda one: one[0].id)  # as those who renew the leases lock the rows
    rows = [{"id": str(job.id), "token": str(job.token), "result": result} for job, result in in_order]
    found = await transaction.execute(_FINISH, {"ended": to_json(rows), "outcome": outcome})
    return {row.id for row in found}


async def fail(transaction: Statements, job: Leased, error: Mapping[str, Any], retry_in_s: float | None) -> None:
    """End this attempt of *job*: it is due again in *retry_in_s*, or (None) a dead letter.

    Raises:
        LeaseLost: it is somebody else's by now.

    """
    values = {"is_final": retry_in_s is None, "delay_s": retry_in_s or 0.0, "error": to_json(error)}
    await _as_holder(transaction, _FAIL, job, values)


async def hand_back(transaction: Statements, job: Leased, delay_s: float) -> None:
    """Give *job* back, due in *delay_s*: what kept it from being done was not its own fault.

    No attempt is counted. Limits count that it began, since some of it may have been done.

    Raises:
        LeaseLost: it is somebody else's by now.

    """
    await _as_holder(transaction, _HAND_BACK, job, {"delay_s": delay_s})


async def put_off(transaction: Statements, job: Leased, delay_s: float, error: Mapping[str, Any] | None = None) -> None:
    """Give *job* back, due in *delay_s*, as if it had never been leased: nothing of it was begun.

    *error*, if given, says why.

    Raises:
        LeaseLost: it is somebody else's by now.

    """
    values = {"delay_s": delay_s, "error": None if error is None else to_json(error)}
    await _as_holder(transaction, _PUT_OFF, job, values)


async def park_unknown(transaction: Statements, job: Leased) -> None:
    """Let *job*, of a kind that this release does not know, wait for one that does; no attempt is counted.

    Raises:
        LeaseLost: it is somebody else's by now.

    """
    await _as_holder(transaction, _PARK_UNKNOWN, job, {})


async def report(transaction: Statements, job: Leased, done: int, total: int | None) -> None:
    """Note how far *job* is, with the effects that it has had so far.

    Raises:
        LeaseLost: it is somebody else's by now.

    """
    await _as_holder(transaction, _REPORT, job, {"progress": to_json({"done": done, "total": total})})


async def _as_holder(transaction: Statements, statement: TextClause, job: Leased, values: Mapping[str, Any]) -> None:
    ended = await transaction.execute(statement, {"id": job.id, "token": job.token, **values})
    if ended.rowcount == 0:
        raise LeaseLost(f"job {job.id} is not held with this lease any more")


def _row(asker: Asker, job: NewJob) -> dict[str, Any]:
    kind = job.kind
    return {
        "tenant_id": asker.tenant_id,
        "actor": asker.actor,
        "correlation_id": asker.correlation_id,
        "causation_id": asker.causation_id,
        "traceparent": asker.traceparent,
        "id": job.id,
        "queue": kind.queue,
        "kind": kind.name,
        "max_attempts": kind.max_attempts,
        "args": job.args,
        "priority": job.priority,
        "due_at": job.due_at,
        "dedup_key": job.dedup_key,
    }
