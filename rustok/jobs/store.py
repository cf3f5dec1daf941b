"""What feeder, workers and rescuer ask of PostgreSQL, as the role system: each a statement in its own transaction."""

from collections.abc import Collection, Mapping, Sequence
from typing import Any
from uuid import UUID, uuid4

from sqlalchemy import TextClause, text
from sqlalchemy.ext.asyncio import AsyncEngine

from rustok.db.engine import to_json
from rustok.db.transaction import run_alone
from rustok.jobs.ledger import Leased

_READY = text("SELECT id FROM ready_jobs(:queue, CAST(:except_ids AS uuid[]), :limit) AS id")
_NOT_PAUSED = "(NOT EXISTS (SELECT FROM job_pauses) OR kind <> ALL (paused_kinds(queue, tenant_id)))"
_STILL_READY = text(
    f"""
    SELECT id FROM jobs
     WHERE id = ANY (CAST(:ids AS uuid[])) AND state = 'ready' AND due_at <= now() AND {_NOT_PAUSED}
    """
)
# No joins here, and in the rescue: PostgreSQL, which believes that the ledger is empty, would read all of it for each.
_GRANT = f"""
    UPDATE jobs SET state = 'leased', attempts = attempts + 1, lease_token = :token,
                    lease_expires_at = now() + make_interval(secs => :lease_s)
     WHERE id = ANY (ARRAY(
           SELECT id FROM jobs
            WHERE id = ANY ({{ids}}) AND state = 'ready' AND due_at <= now() AND {_NOT_PAUSED}
            ORDER BY id FOR UPDATE SKIP LOCKED))
    RETURNING id, tenant_id, kind, args, attempts, max_attempts, is_cancelled, actor, correlation_id,
              causation_id, traceparent, created_at, lease_token
"""
_GRANT_THESE = text(_GRANT.format(ids="CAST(:ids AS uuid[])"))
_GRANT_READY = text(_GRANT.format(ids="ARRAY(SELECT ready_jobs(:queue, '{}', :limit))"))
_RELEASE = text(
    """
    UPDATE jobs SET state = 'ready', attempts = attempts - 1, lease_token = NULL, lease_expires_at = NULL
     WHERE id = ANY (CAST(:ids AS uuid[])) AND state = 'leased' AND lease_token = :token
    """
)
_RENEW = text(
    """
    UPDATE jobs SET lease_expires_at = now() + make_interval(secs => :lease_s)
     WHERE id = ANY (CAST(:ids AS uuid[])) AND state = 'leased' AND lease_token = :token
    RETURNING id, is_cancelled
    """
)
_RESCUE = text(
    """
    WITH lost AS (
        SELECT id, is_cancelled FROM jobs WHERE state = 'leased' AND lease_expires_at < now()
         ORDER BY lease_expires_at LIMIT 1000 FOR UPDATE SKIP LOCKED
    ), returned AS (
        UPDATE jobs SET state = CASE WHEN attempts >= max_attempts THEN 'dead' ELSE 'ready' END,
                        lease_token = NULL, lease_expires_at = NULL, due_at = now(), error = CAST(:error AS jsonb)
         WHERE id = ANY (ARRAY(SELECT id FROM lost WHERE NOT is_cancelled))
        RETURNING id, kind, state
    ), cancelled AS (
        DELETE FROM jobs WHERE id = ANY (ARRAY(SELECT id FROM lost WHERE is_cancelled)) RETURNING *
    ), ended AS (
        INSERT INTO finished_jobs (tenant_id, id, queue, kind, args, outcome, attempts, progress, actor,
                                   correlation_id, causation_id, created_at, finished_at)
        SELECT tenant_id, id, queue, kind, args, 'cancelled', attempts, progress, actor, correlation_id, causation_id,
               created_at, now()
          FROM cancelled
        RETURNING id, kind, outcome
    )
    SELECT id, kind, state FROM returned UNION ALL SELECT id, kind, outcome FROM ended
    """
)
_PURGE = text(
    """
    DELETE FROM finished_jobs WHERE (id, tenant_id) IN (
        SELECT id, tenant_id FROM finished_jobs WHERE finished_at < now() - make_interval(days => :days)
         ORDER BY finished_at LIMIT :limit)
    """
)
_WORKER_LOST = to_json({"code": "worker_lost", "message": "The worker stopped in the middle of the job."})


class PostgresJobStore:
    def __init__(self, engine: AsyncEngine) -> None:
        self.engine = engine

    async def ready(self, queue: str, except_ids: Collection[UUID], limit: int) -> Sequence[UUID]:
        """Return jobs that are due, not paused, not *except_ids*, in turns by tenant, each one's most urgent first."""
        values = {"queue": queue, "except_ids": list(except_ids), "limit": limit}
        return [row.id for row in await run_alone(self.engine, _READY, values)]

    async def still_ready(self, ids: Collection[UUID]) -> set[UUID]:
        """Return those of *ids* that are still due: nobody has leased, put off or paused them since."""
        return {row.id for row in await run_alone(self.engine, _STILL_READY, {"ids": list(ids)})}

    async def grant(self, ids: Sequence[UUID], lease_s: float) -> Sequence[Leased]:
        """Lease what is ready among *ids*, and not paused. This, and nothing else, counts an attempt."""
        return await self._grant(_GRANT_THESE, {"ids": list(ids), "lease_s": lease_s})

    async def grant_ready(self, queue: str, limit: int, lease_s: float) -> Sequence[Leased]:
        """Lease what `ready` would return now, as `grant` does."""
        return await self._grant(_GRANT_READY, {"queue": queue, "limit": limit, "lease_s": lease_s})

    async def _grant(self, statement: TextClause, values: Mapping[str, Any]) -> Sequence[Leased]:
        rows = await run_alone(self.engine, statement, {**values, "token": uuid4()})
        return [Leased(*row) for row in rows]

    async def renew(self, ids: Collection[UUID], token: UUID, lease_s: float) -> Mapping[UUID, bool]:
        """Prolong leases; return those that still hold, and whether somebody has cancelled the job."""
        values = {"ids": list(ids), "token": token, "lease_s": lease_s}
        return {row.id: row.is_cancelled for row in await run_alone(self.engine, _RENEW, values)}

    async def release(self, ids: Collection[UUID], token: UUID) -> None:
        """Give back those of *ids* that are still held, as if they had never been leased."""
        await run_alone(self.engine, _RELEASE, {"ids": list(ids), "token": token})

    async def rescue(self) -> Sequence[Any]:
        """Make jobs whose lease ran out ready again, or dead letters, and end those that somebody has cancelled.

        Returns their id, kind and new state.
        """
        return (await run_alone(self.engine, _RESCUE, {"error": _WORKER_LOST})).all()

    async def purge(self, days: int, batch: int = 5_000) -> int:
        """Forget jobs that ended longer ago than this, in batches, each on its own; return how many."""
        deleted = 0
        while True:
            count = (await run_alone(self.engine, _PURGE, {"days": days, "limit": batch})).rowcount
            deleted += count
            if count < batch:
                return deleted
