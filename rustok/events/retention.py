"""How long the log keeps events that nothing waits for."""

from datetime import timedelta

import structlog
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncEngine

from rustok.db.transaction import run_alone

log = structlog.get_logger(__name__)

_SHORTEN = text("SELECT shorten_event_log(:kept)")


async def shorten_log(system_engine: AsyncEngine, kept_days: int) -> int:
    """Drop the log's oldest partitions, as long as all their events are older than *kept_days*; return how many.

    A partition stays, and all above it, while a consumer has an event in it to read, an aggregate is parked in it,
    or it has the newest event; and for now, while a transaction reads the log for long. With 0 days all stay.
    """
    dropped = 0
    while kept_days and await _shorten(system_engine, timedelta(days=kept_days)):
        dropped += 1
    if dropped:
        log.info("event_log_shortened", partitions=dropped)
    return dropped


async def _shorten(system_engine: AsyncEngine, kept: timedelta) -> bool:
    return bool((await run_alone(system_engine, _SHORTEN, {"kept": kept})).scalar_one())
