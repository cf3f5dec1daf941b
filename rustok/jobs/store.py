"""What feeder, workers and rescuer ask of PostgreSQL, as the role system: each a statement in its own transaction."""

from collections.abc import Collection, Mapping, Sequence
from typing import Any
from uuid import UUID, uuid4

from sqlalchemy import TextClause, text
from sqlalchemy.ext.asyncio import AsyncEngine

from rustok.db.engine import to_json
from rustok.db.transaction import Rows, begin, run_alone
from rustok.jobs.history import into_history
from rustok.jobs.ledger import Leased, fail, finish_held, hand_back, park_unknown
from rustok.jobs.shares import Standing

_LOOK = text(
    """
    SELECT ids, tenant_ids, CAST(seen AS text) AS seen
      FROM look_for_jobs(:queue, CAST(:except_ids AS uuid[]), :limit, :limit_a_tenant,
                         CAST(CAST(:known AS text) AS job_view))
    """
)
_STANDINGS = text("SELECT tenant_id, leased, weight FROM tenant_standings(:queue)")
_IS_READY = "state = 'ready' AND due_at <= now()"
_IS_CONCERNED = """
    (held.queue IS NULL OR held.queue = jobs.queue) AND (held.kind IS NULL OR held.kind = jobs.kind)
    AND (held.tenant_id IS NULL OR held.tenant_id = jobs.tenant_id)
"""
_IS_ACTIVE = "(SELECT is_active FROM tenants WHERE id = jobs.tenant_id)"
_IS_ON = f"{_IS_ACTIVE} AND NOT is_kind_off(jobs.tenant_id, jobs.kind)"
_MAY_BEGIN = f"{_IS_READY} AND {_IS_ON} AND NOT EXISTS (SELECT FROM held_jobs() AS held WHERE {_IS_CONCERNED})"
# What is held is looked up once, not once a job.
_STILL_READY = text(
    f"""
    WITH held AS MATERIALIZED (SELECT queue, kind, tenant_id FROM held_jobs())
    SELECT id, {_IS_ON} AND NOT EXISTS (SELECT FROM held WHERE {_IS_CONCERNED}) AS may_begin
      FROM jobs WHERE id = ANY (CAST(:ids AS uuid[])) AND {_IS_READY}
    """
)
# No joins here, and in the rescue: PostgreSQL, which believes that the ledger is empty, would read all of it for each.
# A lease begins when limits have let it, which may take a while, and not when they were asked.
_GRANT = text(
    f"""
    UPDATE jobs SET state = 'leased', attempts = attempts + 1, lease_token = :token,
                    lease_expires_at = clock_timestamp() + make_interval(secs => :lease_s)
     WHERE id = ANY (CAST((
           SELECT CASE WHEN EXISTS (SELECT FROM job_limits WHERE num_nonnulls(max_running, starts) > 0)
                       THEN take_within_limits(ids) ELSE ids END
             FROM (SELECT ARRAY(SELECT id FROM jobs WHERE id = ANY (CAST(:ids AS uuid[])) AND {_MAY_BEGIN}
                                 ORDER BY id FOR UPDATE SKIP LOCKED) AS ids) AS found) AS uuid[]))
    RETURNING id, tenant_id, kind, args, attempts, max_attempts, is_cancelled, actor, correlation_id,
              causation_id, traceparent, created_at, lease_token
    """
)
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
    f"""
    WITH lost AS (
        SELECT id, is_cancelled FROM jobs
         WHERE state = 'leased' AND lease_expires_at < now()
           AND lease_expires_at >= coalesce(now() - make_interval(secs => :within_s), '-infinity')
         ORDER BY lease_expires_at LIMIT 1000 FOR UPDATE SKIP LOCKED
    ), returned AS (
        UPDATE jobs SET state = CASE WHEN attempts >= max_attempts THEN 'dead' ELSE 'ready' END,
                        lease_token = NULL, lease_expires_at = NULL, due_at = now(), error = CAST(:error AS jsonb)
         WHERE id = ANY (ARRAY(SELECT id FROM lost WHERE NOT is_cancelled))
        RETURNING id, kind, state
    ), cancelled AS (
        DELETE FROM jobs WHERE id = ANY (ARRAY(SELECT id FROM lost WHERE is_cancelled)) RETURNING *
    ), ended AS (
        {into_history("cancelled", "'cancelled'")}
        RETURNING id, kind, outcome
    )
    SELECT id, kind, state FROM returned UNION ALL SELECT id, kind, outcome FROM ended
    """
)
_WORKER_LOST = to_json({"code": "worker_lost", "message": "The worker stopped in the middle of the job."})


class _EachAlone:
    """Runs each statement in a transaction of its own, in one round trip."""

    def __init__(self, engine: AsyncEngine) -> None:
        self._engine = engine

    async def execute(self, statement: TextClause, parameters: Mapping[str, Any] | None = None) -> Rows:
        return await run_alone(self._engine, statement, parameters)


class PostgresJobStore:
    def __init__(self, engine: AsyncEngine) -> None:
        self.engine = engine
        self._seen: dict[str, str] = {}
        """What the last look at each queue has seen; `look_for_jobs` alone reads it, and sees what is out of date."""

    async def ready(
        self, queue: str, except_ids: Collection[UUID], limit: int, limit_a_tenant: int
    ) -> Sequence[tuple[UUID, UUID]]:
        """Return jobs that may begin now and are not *except_ids*, each with its tenant, in turns by tenant.

        Of each tenant the most urgent come first. What a limit has no room for is not among them.
        """
        values = {
            "queue": queue,
            "except_ids": list(except_ids),
            "limit": limit,
            "limit_a_tenant": limit_a_tenant,
            "known": self._seen.get(queue),
        }
        try:
            look = (await run_alone(self.engine, _LOOK, values)).one()
        except Exception:
            self._seen.pop(queue, None)  # nobody knows what has happened to the server
            raise
        self._seen[queue] = look.seen
        return list(zip(look.ids, look.tenant_ids, strict=True))

    async def still_ready(self, ids: Collection[UUID]) -> Mapping[UUID, bool]:
        """Return those of *ids* that nobody has leased, or put off, since; and whether each may begin now.

        It may not while a pause or limit holds it, or its tenant or its module is off.
        """
        return {row.id: row.may_begin for row in await run_alone(self.engine, _STILL_READY, {"ids": list(ids)})}

    async def standings(self, queue: str) -> Mapping[UUID, Standing]:
        """Return how many jobs each tenant has leased now, by whomever, and its weight, 1 unless somebody set another.

        Tenants that have none, and no weight, are absent.
        """
        rows = await run_alone(self.engine, _STANDINGS, {"queue": queue})
        return {row.tenant_id: Standing(row.leased, row.weight) for row in rows}

    async def grant(self, ids: Sequence[UUID], lease_s: float) -> Sequence[Leased]:
        """Lease what is ready among *ids*, of tenants and modules that are on, not paused, and within its limits.

        Only this counts an attempt.
        """
        values = {"ids": list(ids), "lease_s": lease_s, "token": uuid4()}
        return [Leased(*row) for row in await run_alone(self.engine, _GRANT, values)]

    async def grant_ready(self, queue: str, limit: int, lease_s: float) -> Sequence[Leased]:
        """Lease what `ready` returns now, as `grant` does."""
        ready = await self.ready(queue, [], limit, limit)
        return await self.grant([job_id for job_id, _ in ready], lease_s) if ready else []

    async def renew(self, ids: Collection[UUID], token: UUID, lease_s: float) -> Mapping[UUID, bool]:
        """Prolong leases; return those that still hold, and whether somebody has cancelled the job."""
        values = {"ids": sorted(ids), "token": token, "lease_s": lease_s}
        return {row.id: row.is_cancelled for row in await run_alone(self.engine, _RENEW, values)}

    async def release(self, ids: Collection[UUID], token: UUID) -> None:
        """Give back those of *ids* that are still held, as if they had never been leased."""
        await run_alone(self.engine, _RELEASE, {"ids": list(ids), "token": token})

    async def finish(self, ended: Sequence[tuple[Leased, Any]], outcome: str = "done") -> Collection[UUID]:
        """End those jobs for good that are still held, each with its result and without effects; return their ids."""
        return await finish_held(_EachAlone(self.engine), ended, outcome)

    async def fail(self, job: Leased, error: Mapping[str, Any], retry_in_s: float | None) -> None:
        """End this attempt: *job* is due again in *retry_in_s*, or (None) a dead letter. Raises LeaseLost."""
        async with begin(self.engine, "BEGIN") as (transaction, _):
            await fail(transaction, job, error, retry_in_s)

    async def hand_back(self, job: Leased, delay_s: float) -> None:
        """Give *job* back, due in *delay_s*, without an attempt. Raises LeaseLost."""
        async with begin(self.engine, "BEGIN") as (transaction, _):
            await hand_back(transaction, job, delay_s)

    async def park_unknown(self, job: Leased) -> None:
        """Let *job* wait, without an attempt, for a release that knows its kind. Raises LeaseLost."""
        async with begin(self.engine, "BEGIN") as (transaction, _):
            await park_unknown(transaction, job)

    async def rescue(self, within_s: float | None = None) -> Sequence[Any]:
        """Make jobs whose lease ran out ready again, or dead letters, and end those that somebody has cancelled.

        *within_s*: only leases that ran out so many seconds ago at most; what has run out before is not looked at.
        Returns their id, kind and new state.
        """
        values = {"error": _WORKER_LOST, "within_s": within_s}
        return (await run_alone(self.engine, _RESCUE, values)).all()
