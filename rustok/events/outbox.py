"""L1: events are staged in the `outbox` table by the writing transaction and read from the `event_log`."""

from collections.abc import Callable, Sequence
from typing import Any

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncEngine

from rustok.db.engine import to_json
from rustok.db.transaction import run_alone
from rustok.kernel.event import Envelope, LoggedEvent
from rustok.kernel.transport import Transaction

CHANNEL = "rustok_outbox"
"""Where a process that has committed events says so (`wakeup.py`)."""

_STAGE = text(
    """
    INSERT INTO outbox (shard, event_id, type, schema_version, tenant_id, aggregate_type, aggregate_id,
                        aggregate_version, correlation_id, causation_id, traceparent, actor, occurred_at, payload)
    SELECT shard, event_id, type, schema_version, tenant_id, aggregate_type, aggregate_id,
           aggregate_version, correlation_id, causation_id, traceparent, actor, occurred_at, payload
      FROM json_to_recordset(CAST(:events AS json)) AS event (
           shard smallint, event_id uuid, type text, schema_version smallint, tenant_id uuid, aggregate_type text,
           aggregate_id uuid, aggregate_version bigint, correlation_id uuid, causation_id uuid, traceparent text,
           actor text, occurred_at timestamptz, payload jsonb, place bigint)
     ORDER BY place
    """
)

COLUMNS = """position, event_id, type, schema_version, tenant_id, aggregate_type, aggregate_id, aggregate_version,
    correlation_id, causation_id, traceparent, actor, occurred_at, payload"""

_NAMES = tuple(Envelope.__dataclass_fields__)

_READ_SHARD = text(
    f"SELECT {COLUMNS} FROM event_log WHERE shard = :shard AND position > :after ORDER BY position LIMIT :limit"
)
_READ_ALL = text(f"SELECT {COLUMNS} FROM event_log WHERE position > :after ORDER BY position LIMIT :limit")
_HEAD = text("SELECT coalesce((SELECT position FROM event_log ORDER BY position DESC LIMIT 1), 0)")


class OutboxTransport:
    """Stages events for the sequencer; *on_commit* is told of every transaction that staged some."""

    def __init__(self, engine: AsyncEngine, on_commit: Callable[[], None] = lambda: None) -> None:
        self._engine = engine
        self._on_commit = on_commit

    async def publish(self, transaction: Transaction, events: Sequence[Envelope]) -> None:
        rows = [_row(event, place) for place, event in enumerate(events)]
        await transaction.execute(_STAGE, {"events": to_json(rows)})
        transaction.after_commit(self._on_commit)

    async def read(self, shard: int, after: int, limit: int) -> list[LoggedEvent]:
        rows = await run_alone(self._engine, _READ_SHARD, {"shard": shard, "after": after, "limit": limit})
        return [logged_event(row) for row in rows]

    async def read_all(self, after: int, limit: int) -> list[LoggedEvent]:
        """Return up to *limit* events of every shard above *after*, in order."""
        rows = await run_alone(self._engine, _READ_ALL, {"after": after, "limit": limit})
        return [logged_event(row) for row in rows]

    async def head(self) -> int:
        return int((await run_alone(self._engine, _HEAD)).scalar_one())


def logged_event(row: Any) -> LoggedEvent:
    """Return a row of `COLUMNS` as an event."""
    position, *values = row
    return LoggedEvent(position, Envelope(**dict(zip(_NAMES, values, strict=True))))


def _row(event: Envelope, place: int) -> dict[str, Any]:
    return {
        **{name: getattr(event, name) for name in _NAMES},
        "shard": event.shard,
        "place": place,
    }
