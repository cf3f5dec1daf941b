"""Jobs that have ended: how they get into the history, and for how long it remembers them."""

from datetime import timedelta

import structlog
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncEngine

from rustok.db.transaction import run_alone

log = structlog.get_logger(__name__)

_EXTEND = text("SELECT extend_finished_jobs()")
_SHORTEN = text("SELECT shorten_finished_jobs(:kept)")
_PURGE = text(
    """
    DELETE FROM finished_jobs_default WHERE (id, tenant_id) IN (
        SELECT id, tenant_id FROM finished_jobs_default WHERE finished_at < now() - CAST(:kept AS interval)
         ORDER BY finished_at LIMIT :limit)
    """
)


def into_history(ended: str, outcome: str, result: str = "CAST(NULL AS jsonb)") -> str:
    """Return the INSERT that keeps what the query *ended* returns, whole jobs; *outcome* and *result* are SQL."""
    return f"""
        INSERT INTO finished_jobs (tenant_id, id, queue, kind, args, outcome, attempts, progress, result, actor,
                                   correlation_id, causation_id, created_at, finished_at)
        SELECT tenant_id, id, queue, kind, args, {outcome}, attempts, progress, {result}, actor,
               correlation_id, causation_id, created_at, now()
          FROM {ended}
    """


async def keep_history(engine: AsyncEngine, kept_days: int, batch: int = 5_000) -> None:
    """Make the partitions of the weeks to come, and forget jobs that ended more than *kept_days* ago.

    Their partition is dropped when that is true of all its jobs. Jobs that are in none, since they ended when theirs
    was gone or was not made yet, are deleted in batches, each on its own. Who reads the history for long delays
    the first two until the next call.
    """
    kept = timedelta(days=kept_days)
    made = (await run_alone(engine, _EXTEND)).scalar_one()
    dropped = 0
    while (await run_alone(engine, _SHORTEN, {"kept": kept})).scalar_one():
        dropped += 1
    deleted = await _purge(engine, kept, batch)
    if made or dropped or deleted:
        log.info("job_history_kept", partitions_made=made, partitions_dropped=dropped, jobs_deleted=deleted)


async def _purge(engine: AsyncEngine, kept: timedelta, batch: int) -> int:
    deleted = 0
    while True:
        count = (await run_alone(engine, _PURGE, {"kept": kept, "limit": batch})).rowcount
        deleted += count
        if count < batch:
            return deleted
