"""Takes aggregates up that waited for a release that knows their next event."""

from collections.abc import Collection

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncEngine

from rustok.db.transaction import run_alone

# `needs` stays until the aggregate is handled: releases that do not know the event leave it alone meanwhile.
_TAKE_UP = text(
    """
    UPDATE parked_aggregates SET state = 'retrying', due_at = now()
     WHERE (consumer, tenant_id, aggregate_id) IN (
           SELECT consumer, tenant_id, aggregate_id FROM parked_aggregates
            WHERE state = 'needs_version' AND consumer = ANY (CAST(:consumers AS text[]))
              AND needs = ANY (CAST(:known AS text[]))
            LIMIT :limit FOR UPDATE SKIP LOCKED)
    RETURNING consumer
    """
)


async def take_up_aggregates(
    engine: AsyncEngine, consumers: Collection[str], known: Collection[str], limit: int
) -> set[str]:
    """Make up to *limit* aggregates due that were parked for want of an event that is *known* here.

    Returns the consumers, of those given, that have something to do now.
    """
    rows = await run_alone(engine, _TAKE_UP, {"consumers": list(consumers), "known": list(known), "limit": limit})
    return {row.consumer for row in rows}
