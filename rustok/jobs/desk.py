"""What operators ask of the ledger, over all tenants, as the role system."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from datetime import datetime
from typing import Any, Literal, get_args
from uuid import UUID

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncEngine

from rustok.db.transaction import run_alone
from rustok.jobs.pauses import Scope

State = Literal["waiting", "scheduled", "running", "dead", "needs_version"]
"""Of a job that has not ended: due, due later, leased, given up, unknown to the releases that have met it."""
STATES: tuple[State, ...] = get_args(State)

_STATE = """
    CASE state WHEN 'ready' THEN CASE WHEN due_at > now() THEN 'scheduled' ELSE 'waiting' END
               WHEN 'leased' THEN 'running' ELSE state END
"""
_CHOSEN = """
     WHERE (CAST(:queue AS text) IS NULL OR queue = :queue)
       AND (CAST(:kind AS text) IS NULL OR kind = :kind)
       AND (CAST(:tenant_id AS uuid) IS NULL OR tenant_id = :tenant_id)
"""
_LIST = text(
    f"""
    SELECT * FROM (SELECT id, tenant_id, queue, kind, {_STATE} AS state, attempts, max_attempts, priority, due_at,
                          created_at, error ->> 'code' AS error
                     FROM jobs {_CHOSEN}) AS j
     WHERE CAST(:state AS text) IS NULL OR state = :state
     ORDER BY due_at, id LIMIT :limit
    """
)
_COUNT_WAITING = text(f"SELECT count(*) FROM jobs {_CHOSEN} AND state = 'ready'")
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


async def find_job(engine: AsyncEngine, job_id: UUID) -> Mapping[str, Any] | None:
    """Return all that is known of a job, also of one that has ended; None: there is none, or it was forgotten."""
    row = (await run_alone(engine, _FIND, {"id": job_id})).first()
    return None if row is None else row.job
