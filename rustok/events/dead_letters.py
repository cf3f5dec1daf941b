"""What an operator does with parked aggregates: list them, and have them tried again in order."""

from dataclasses import dataclass
from typing import Any
from uuid import UUID

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncEngine

_LIST = text(
    """
    SELECT consumer, shard, tenant_id, aggregate_type, aggregate_id, position, state, attempts, error, parked_at,
           (SELECT count(*) FROM event_log AS e
             WHERE e.tenant_id = p.tenant_id AND e.aggregate_id = p.aggregate_id AND e.position >= p.position)
           AS waiting_events
      FROM parked_aggregates AS p
     WHERE (CAST(:consumer AS text) IS NULL OR consumer = :consumer)
       AND (CAST(:tenant_id AS uuid) IS NULL OR tenant_id = :tenant_id)
     ORDER BY parked_at, aggregate_id
     LIMIT :limit
    """
)
_REDRIVE = text(
    """
    UPDATE parked_aggregates SET state = 'retrying', attempts = 0, due_at = now()
     WHERE (CAST(:consumer AS text) IS NULL OR consumer = :consumer)
       AND (CAST(:tenant_id AS uuid) IS NULL OR tenant_id = :tenant_id)
       AND (CAST(:aggregate_id AS uuid) IS NULL OR aggregate_id = :aggregate_id)
    """
)


@dataclass(frozen=True, slots=True)
class DeadLetter:
    consumer: str
    shard: int
    tenant_id: UUID
    aggregate_type: str
    aggregate_id: UUID
    position: int
    state: str
    attempts: int
    error: str
    parked_at: Any
    waiting_events: int


async def list_dead_letters(
    engine: AsyncEngine, *, consumer: str | None = None, tenant_id: UUID | None = None, limit: int = 100
) -> list[DeadLetter]:
    """Return what is parked, oldest first, with the number of events that wait for it."""
    async with engine.connect() as connection:
        rows = await connection.execute(_LIST, {"consumer": consumer, "tenant_id": tenant_id, "limit": limit})
        return [DeadLetter(*row) for row in rows]


async def redrive(
    engine: AsyncEngine,
    *,
    consumer: str | None = None,
    tenant_id: UUID | None = None,
    aggregate_id: UUID | None = None,
) -> int:
    """Make what is parked due now, with all its attempts before it; return how many aggregates that is.

    The consumers try each aggregate from its first waiting event on, in order.
    """
    async with engine.begin() as connection:
        chosen = {"consumer": consumer, "tenant_id": tenant_id, "aggregate_id": aggregate_id}
        return (await connection.execute(_REDRIVE, chosen)).rowcount
