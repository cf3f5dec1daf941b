"""What operators watch: how much waits, and for how long."""

from dataclasses import dataclass

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncEngine

from rustok.db.transaction import run_alone

_LOG = text("SELECT outbox_pending, outbox_oldest_age_s, log_position FROM log_figures()")
_CONSUMERS = text(
    """
    SELECT consumer, lag_events, lag_s, retrying, dead, coalesce(waiting, 0)
      FROM consumer_figures() LEFT JOIN needs_version_figures() ON what = consumer
     ORDER BY consumer
    """
)


@dataclass(frozen=True, slots=True)
class ConsumerFigures:
    consumer: str
    lag_events: int
    lag_s: float
    retrying: int
    dead: int
    needs_version: int


@dataclass(frozen=True, slots=True)
class LogFigures:
    outbox_pending: int
    outbox_oldest_age_s: float
    position: int
    consumers: tuple[ConsumerFigures, ...]


async def read_figures(engine: AsyncEngine) -> LogFigures:
    """Return the figures of this moment, over all tenants; the roles app and system may ask.

    A backlog is counted up to 100,000 events in the outbox and 10,000 a consumer and shard: past that, age tells.
    """
    log = (await run_alone(engine, _LOG)).one()
    consumers = tuple(ConsumerFigures(*row) for row in await run_alone(engine, _CONSUMERS))
    return LogFigures(log.outbox_pending, log.outbox_oldest_age_s, log.log_position, consumers)
