"""What operators ask of the ledger, over all tenants, as the role system."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from datetime import datetime
from typing import Any, Literal, get_args
from uuid import UUID

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncEngine

from rustok.db.transaction import begin, run_alone
from rustok.jobs.history import into_history
from rustok.jobs.ledger import AS_NEW
from rustok.jobs.operations import cancel
from rustok.jobs.pauses import Scope

State = Literal["waiting", "scheduled", "running", "dead", "needs_version"]
"""Of a job that has not ended: due, due later, leased, given up, unknown to the releases that have met it."""
STATES: tuple[State, ...] = get_args(State)

_STATE = """
    CASE state WHEN 'ready' THEN CASE WHEN due_at > now() THEN 'scheduled' ELSE 'waiting' END
               WHEN 'leased' THEN 'running' ELSE state END
"""
CHOSEN = """
     WHERE (CAST(:queue AS text) IS NULL OR queue = :queue)
       AND (CAST(:kind AS text) IS NULL OR kind = :kind)
       AND (CAST(:tenant_id AS uuid) IS NULL OR tenant_id = :tenant_id)
"""
"""The jobs of a scope, in a statement with its fields as parameters."""
_LIST = text(
    f"""
    SELECT * FROM (SELECT id, tenant_id, queue, kind, {_STATE} AS state, attempts, max_attempts, priority, due_at,
                          created_at, error ->> 'code' AS error
                     FROM jobs {CHOSEN}) AS j
     WHERE CAST(:state AS text) IS NULL OR state = :state
     ORDER BY due_at, id LIMIT :limit
    """
)
_COUNT_WAITING = text(f"SELECT count(*) FROM jobs {CHOSEN} AND state = 'ready' AND lease_token IS NULL")
_NOW = text("SELECT now()")
# By id, so that each batch begins where the one before has ended, and does not read past what that one took away.
_PURGE = text(
    f"""
    WITH chosen AS (
        SELECT id FROM jobs {CHOSEN} AND state = 'ready' AND created_at <= :until AND id > :after
         ORDER BY id LIMIT :limit FOR UPDATE SKIP LOCKED
    ), ended AS (
        DELETE FROM jobs WHERE id = ANY (ARRAY(SELECT id FROM chosen)) RETURNING *
    )
    {into_history("ended", "'cancelled'")}
    RETURNING id
    """
)
_RETRY = text(f"UPDATE jobs SET {AS_NEW} WHERE tenant_id = :tenant_id AND id = :id AND state = 'dead'")
_FIND = text(
    f"""
    SELECT to_jsonb(j) - 'lease_token' || jsonb_build_object('state', {_STATE}) AS job FROM jobs AS j WHERE id = :id
    UNION ALL
    SELECT to_jsonb(f) - 'outcome' || jsonb_build_object('state', outcome) FROM finished_jobs AS f WHERE id = :id
    """
)


@dataclass(frozen=True, slots=True)
class JobRow:
    """A job that has not ended; `error` is the code of why its last attempt failed."""

    id: UUID
    tenant_id: UUID
    queue: str
    kind: str
    state: State
    attempts: int
    max_attempts: int
    priority: int
    due_at: datetime
    created_at: datetime
    error: str | None


async def list_jobs(engine: AsyncEngine, scope: Scope, *, state: State | None, limit: int) -> list[JobRow]:
    """Return jobs that have not ended, in *state* or in any, those that have been due for the longest first."""
    values = {**asdict(scope), "state": state, "limit": limit}
    return [JobRow(*row) for row in await run_alone(engine, _LIST, values)]


async def count_waiting(engine: AsyncEngine, scope: Scope) -> int:
    """Return how many jobs are due, now or later."""
    return int((await run_alone(engine, _COUNT_WAITING, asdict(scope))).scalar_one())


async def purge_waiting(engine: AsyncEngine, scope: Scope, batch: int = 1_000) -> int:
    """Cancel all jobs of *scope* that wait now and nobody has leased, in batches; return how many.

    Their operations are cancelled ones from then on. What is made meanwhile stays.
    """
    until = (await run_alone(engine, _NOW)).scalar_one()
    after, ended = UUID(int=0), 0
    while True:
        values = {**asdict(scope), "until": until, "after": after, "limit": batch}
        ids = (await run_alone(engine, _PURGE, values)).scalars().all()
        if not ids:
            return ended
        after, ended = max(ids), ended + len(ids)


async def find_job(engine: AsyncEngine, job_id: UUID) -> Mapping[str, Any] | None:
    """Return all that is known of a job, also of one that has ended; None: there is none, or it was forgotten."""
    row = (await run_alone(engine, _FIND, {"id": job_id})).first()
    return None if row is None else row.job


async def cancel_job(engine: AsyncEngine, tenant_id: UUID, job_id: UUID) -> None:
    """End a job that waits, and stop a running one soon, also of a tenant that is switched off."""
    async with begin(engine, "BEGIN") as (transaction, _):
        await cancel(transaction, tenant_id, job_id)


async def retry_job(engine: AsyncEngine, tenant_id: UUID, job_id: UUID) -> bool:
    """Make a dead letter due now, with all its attempts; tell whether it was one.

    While its tenant is switched off it waits.
    """
    return (await run_alone(engine, _RETRY, {"tenant_id": tenant_id, "id": job_id})).rowcount > 0
