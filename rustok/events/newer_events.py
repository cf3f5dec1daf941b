"""Takes up aggregates that waited for a release that knows their event, and gives back those of one that is gone."""

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
# Whoever knows the event would have come to it in a minute: after a failure it is due later.
_GIVE_BACK = text(
    """
    UPDATE parked_aggregates SET state = 'needs_version'
     WHERE (consumer, tenant_id, aggregate_id) IN (
           SELECT consumer, tenant_id, aggregate_id FROM parked_aggregates
            WHERE state = 'retrying' AND due_at < now() - interval '1 minute'
              AND needs <> ALL (CAST(:known AS text[]))
            LIMIT :limit FOR UPDATE SKIP LOCKED)
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


async def give_back_aggregates(engine: AsyncEngine, known: Collection[str], limit: int) -> int:
    """Let up to *limit* aggregates wait again whose event is not *known* here, and nobody who took them up has handled.

    A release that was taken back leaves them behind. If it is there after all, it only takes them up once more.
    """
    return (await run_alone(engine, _GIVE_BACK, {"known": list(known), "limit": limit})).rowcount
