"""What an operator does with parked aggregates: list them, and have them tried again in order."""

from dataclasses import dataclass
from typing import Any, TypedDict, Unpack
from uuid import UUID

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncEngine

from rustok.db.engine import to_json
from rustok.db.transaction import run_alone

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
_CHOSEN = """
     WHERE (CAST(:consumer AS text) IS NULL OR consumer = :consumer)
       AND (CAST(:tenant_id AS uuid) IS NULL OR tenant_id = :tenant_id)
       AND (CAST(:aggregate_id AS uuid) IS NULL OR aggregate_id = :aggregate_id)
"""
_COUNT = text("SELECT count(*) FROM parked_aggregates" + _CHOSEN)
_KEYS = text("SELECT consumer, tenant_id, aggregate_id FROM parked_aggregates" + _CHOSEN)
_REDRIVE = text(
    """
    UPDATE parked_aggregates AS p SET state = 'retrying', attempts = 0, due_at = now()
      FROM json_to_recordset(CAST(:keys AS json)) AS k (consumer text, tenant_id uuid, aggregate_id uuid)
     WHERE p.consumer = k.consumer AND p.tenant_id = k.tenant_id AND p.aggregate_id = k.aggregate_id
    """
)
_CHUNK = 1000


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


class Chosen(TypedDict, total=False):
    """Which parked aggregates are meant: those that fit every given field."""

    consumer: str | None
    tenant_id: UUID | None
    aggregate_id: UUID | None


async def count_dead_letters(engine: AsyncEngine, **chosen: Unpack[Chosen]) -> int:
    """Return how many aggregates `redrive` would try again."""
    async with engine.connect() as connection:
        return int((await connection.execute(_COUNT, _parameters(chosen))).scalar_one())


async def redrive(engine: AsyncEngine, **chosen: Unpack[Chosen]) -> int:
    """Make what is parked due now, with all its attempts before it; return how many aggregates that is.

    The consumers try each aggregate from its first waiting event on, in order. A thousand are one transaction, so
    that the consumers begin with the first of them while others follow.
    """
    async with engine.connect() as connection:
        keys = [row._asdict() for row in await connection.execute(_KEYS, _parameters(chosen))]
    chunks = [keys[start : start + _CHUNK] for start in range(0, len(keys), _CHUNK)]
    return sum([(await run_alone(engine, _REDRIVE, {"keys": to_json(chunk)})).rowcount for chunk in chunks])


def _parameters(chosen: Chosen) -> dict[str, Any]:
    return {"consumer": None, "tenant_id": None, "aggregate_id": None, **chosen}
