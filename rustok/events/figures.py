"""What operators watch: how much waits, and for how long."""

from dataclasses import dataclass

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncEngine

_LOG = text(
    """
    SELECT (SELECT count(*) FROM (SELECT FROM outbox LIMIT 100000) AS o) AS pending,
           coalesce((SELECT extract(epoch FROM clock_timestamp() - occurred_at) FROM outbox ORDER BY id LIMIT 1), 0)
               AS oldest_age_s,
           coalesce((SELECT position FROM event_log ORDER BY position DESC LIMIT 1), 0) AS position
    """
)
_CONSUMERS = text(
    """
    SELECT c.consumer, sum(b.events) AS lag_events, coalesce(max(b.age_s), 0) AS lag_s,
           (SELECT count(*) FROM parked_aggregates AS p WHERE p.consumer = c.consumer AND p.state = 'retrying')
               AS retrying,
           (SELECT count(*) FROM parked_aggregates AS p WHERE p.consumer = c.consumer AND p.state = 'dead') AS dead
      FROM checkpoints AS c
      CROSS JOIN LATERAL (
           SELECT count(*) AS events, extract(epoch FROM clock_timestamp() - min(e.recorded_at)) AS age_s
             FROM (SELECT recorded_at FROM event_log
                    WHERE event_log.shard = c.shard AND event_log.position > c.position
                    ORDER BY position LIMIT 10000) AS e) AS b
     GROUP BY c.consumer ORDER BY c.consumer
    """
)


@dataclass(frozen=True, slots=True)
class ConsumerFigures:
    consumer: str
    lag_events: int
    lag_s: float
    retrying: int
    dead: int


@dataclass(frozen=True, slots=True)
class LogFigures:
    outbox_pending: int
    outbox_oldest_age_s: float
    position: int
    consumers: tuple[ConsumerFigures, ...]


async def read_figures(engine: AsyncEngine) -> LogFigures:
    """Return the figures of this moment, as the role system.

    A backlog is counted up to 100,000 events in the outbox and 10,000 a consumer and shard: past that, age tells.
    """
    async with engine.connect() as connection:
        log = (await connection.execute(_LOG)).one()
        consumers = [
            ConsumerFigures(row.consumer, int(row.lag_events), float(row.lag_s), row.retrying, row.dead)
            for row in await connection.execute(_CONSUMERS)
        ]
    return LogFigures(log.pending, float(log.oldest_age_s), log.position, tuple(consumers))
