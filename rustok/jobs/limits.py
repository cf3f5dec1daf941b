"""What operators bound: how many jobs of a queue, kind or tenant run, or begin in a while; and tenants' weights."""

from dataclasses import asdict, dataclass

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncEngine

from rustok.db.transaction import run_alone
from rustok.jobs.pauses import Scope

_SET = text(
    """
    INSERT INTO job_limits AS held (queue, kind, tenant_id, max_running, starts, per_s, burst, tokens, filled_at,
                                    weight, set_by)
    VALUES (:queue, :kind, :tenant_id, :max_running, CAST(:starts AS integer), :per_s, CAST(:burst AS integer),
            CAST(:burst AS integer), CASE WHEN CAST(:starts AS integer) IS NOT NULL THEN now() END, :weight, :set_by)
        ON CONFLICT (queue, kind, tenant_id) DO UPDATE
       SET max_running = coalesce(excluded.max_running, held.max_running),
           starts = coalesce(excluded.starts, held.starts), per_s = coalesce(excluded.per_s, held.per_s),
           burst = coalesce(excluded.burst, held.burst), tokens = coalesce(excluded.tokens, held.tokens),
           filled_at = coalesce(excluded.filled_at, held.filled_at),
           weight = coalesce(excluded.weight, held.weight), set_by = excluded.set_by, set_at = now()
    """
)
_CLEAR = text(
    """
    DELETE FROM job_limits
     WHERE (queue, kind, tenant_id) IS NOT DISTINCT FROM (CAST(:queue AS text), CAST(:kind AS text),
                                                          CAST(:tenant_id AS uuid))
    """
)
_LIST = text(
    """
    WITH counted AS MATERIALIZED (
        SELECT queue, kind, tenant_id, count(*) FILTER (WHERE state = 'leased') AS running,
               count(*) FILTER (WHERE state = 'ready' AND due_at <= now()) AS waiting
          FROM jobs GROUP BY queue, kind, tenant_id
    )
    SELECT l.queue, l.kind, l.tenant_id, max_running, starts, per_s, burst, weight, room, running, waiting, set_by
      FROM job_limits AS l
      LEFT JOIN limit_rooms() AS r
        ON (r.queue, r.kind, r.tenant_id) IS NOT DISTINCT FROM (l.queue, l.kind, l.tenant_id)
     CROSS JOIN LATERAL (
           SELECT coalesce(sum(running), 0)::bigint AS running, coalesce(sum(waiting), 0)::bigint AS waiting
             FROM counted AS j
            WHERE (l.queue IS NULL OR l.queue = j.queue) AND (l.kind IS NULL OR l.kind = j.kind)
              AND (l.tenant_id IS NULL OR l.tenant_id = j.tenant_id)) AS concerned
     ORDER BY set_at
    """
)


@dataclass(frozen=True, slots=True)
class Rate:
    """So many jobs begin in *per_s* seconds on average, and up to *burst* at once after a quiet while."""

    starts: int
    per_s: int
    burst: int


@dataclass(frozen=True, slots=True)
class Limit:
    """What bounds a scope, and how it stands.

    `room`: how many more may begin now; None where only a weight is set, and below 0 where more run than may by now.
    `running` and `waiting`, which are due, count all jobs of the scope.
    """

    scope: Scope
    max_running: int | None
    rate: Rate | None
    weight: float | None
    room: int | None
    running: int
    waiting: int
    set_by: str


async def set_limit(
    engine: AsyncEngine,
    scope: Scope,
    *,
    set_by: str,
    max_running: int | None = None,
    rate: Rate | None = None,
    weight: float | None = None,
) -> None:
    """Bound the jobs of *scope*, of one field at least, from now on; what is None stays as it was.

    What runs goes on, and what a limit holds back waits as it is. `weight`, of a tenant alone: what share of the
    workers' time it has beside tenants of weight 1, while there is not enough for all.
    """
    bucket = {"starts": None, "per_s": None, "burst": None} if rate is None else asdict(rate)
    values = {**asdict(scope), **bucket, "max_running": max_running, "weight": weight, "set_by": set_by}
    await run_alone(engine, _SET, values)


async def clear_limit(engine: AsyncEngine, scope: Scope) -> bool:
    """Lift all that bounds exactly this *scope*, its weight too; tell whether there was something."""
    return (await run_alone(engine, _CLEAR, asdict(scope))).rowcount > 0


async def list_limits(engine: AsyncEngine) -> list[Limit]:
    """Return what is limited, the oldest limit first."""
    return [
        Limit(
            scope=Scope(queue=row.queue, kind=row.kind, tenant_id=row.tenant_id),
            max_running=row.max_running,
            rate=None if row.starts is None else Rate(row.starts, row.per_s, row.burst),
            weight=row.weight,
            room=None if row.room is None else int(row.room),
            running=row.running,
            waiting=row.waiting,
            set_by=row.set_by,
        )
        for row in await run_alone(engine, _LIST)
    ]
