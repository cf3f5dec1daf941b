"""Takes jobs up that waited for a release that knows their kind."""

from collections.abc import Collection
from uuid import UUID

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncEngine

from rustok.db.transaction import run_alone

_TAKE_UP = text(
    """
    UPDATE jobs SET state = 'ready'
     WHERE id = ANY (ARRAY(
           SELECT id FROM jobs
            WHERE state = 'needs_version' AND kind = ANY (CAST(:kinds AS text[]))
              AND (SELECT is_active FROM tenants WHERE tenants.id = jobs.tenant_id)
            LIMIT :limit FOR UPDATE SKIP LOCKED))
    RETURNING id
    """
)


async def take_up_jobs(engine: AsyncEngine, kinds: Collection[str], limit: int) -> list[UUID]:
    """Make up to *limit* jobs of *kinds* ready that were parked as unknown, and return them.

    Whoever calls this should lease them at once: a worker that does not know them would only park them again.
    """
    rows = await run_alone(engine, _TAKE_UP, {"kinds": list(kinds), "limit": limit})
    return [row.id for row in rows]
