"""Events as hooks see them: made of the examples of the event classes, or real ones of the log."""

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncEngine

from rustok.db.failures import translated_failures
from rustok.db.transaction import run_alone
from rustok.events.outbox import COLUMNS, logged_event
from rustok.kernel.context import Context, Principal
from rustok.kernel.errors import NotFound
from rustok.kernel.event import Envelope, Event
from rustok.kernel.ids import uuid7
from rustok.kernel.registry import Registry
from rustok.modules.alloy import cron_event
from rustok.modules.alloy.documents import API, CRON, MANUAL, of_event, of_start

_FIND = text(
    f"""
    SELECT {COLUMNS} FROM event_log WHERE tenant_id = :tenant_id AND event_id = :event_id
     ORDER BY position DESC LIMIT 1
    """
)
_LATEST = text(
    f"""
    SELECT {COLUMNS} FROM event_log
     WHERE tenant_id = :tenant_id AND (CAST(:type AS text) IS NULL OR type = :type)
     ORDER BY position DESC LIMIT :limit
    """
)
STARTS = {CRON: "A moment of a cron trigger.", MANUAL: "An operator's hand.", API: "A request."}
"""What starts a run without an event of the log."""


def sample(registry: Registry, event_type: str, tenant_id: UUID) -> dict[str, Any]:
    """Return an event of this type that never happened.

    Raises:
        NotFound: no module publishes such events.

    """
    now = datetime.now(UTC).replace(microsecond=0)
    context = Context(tenant_id=tenant_id, principal=Principal("operator", "sample", frozenset()))
    if event_type == CRON:
        return cron_event(uuid7(), tenant_id, context.principal.actor, now.isoformat())
    if event_type in STARTS:
        return of_start(event_type, uuid7(), context, now, {})
    versions = [event for (name, _), event in registry.events.items() if name == event_type]
    if not versions:
        raise NotFound(f"There are no events {event_type}: `rustok events samples` lists the types.")
    return of_event(_envelope(max(versions, key=lambda event: event.version), context, now))


async def find_event(engine: AsyncEngine, tenant_id: UUID, event_id: UUID) -> Envelope:
    """Return an event of the tenant's log, which is searched from its end.

    Raises:
        NotFound: there is none, or it has not got its place yet.

    """
    with translated_failures():
        row = (await run_alone(engine, _FIND, {"tenant_id": tenant_id, "event_id": event_id})).one_or_none()
    if row is None:
        raise NotFound(f"The tenant's log has no event {event_id}: `rustok events tail` shows those there are.")
    return logged_event(row).envelope


async def latest_events(
    engine: AsyncEngine, tenant_id: UUID, event_type: str | None = None, limit: int = 1
) -> Sequence[Envelope]:
    """Return the latest events of the tenant's log, newest first."""
    values = {"tenant_id": tenant_id, "type": event_type, "limit": limit}
    with translated_failures():
        return [logged_event(row).envelope for row in await run_alone(engine, _LATEST, values)]


def _envelope(event: type[Event], context: Context, now: datetime) -> Envelope:
    return Envelope(
        event_id=uuid7(),
        type=event.type,
        schema_version=event.version,
        tenant_id=context.tenant_id,
        aggregate_type=event.aggregate,
        aggregate_id=uuid7(),
        aggregate_version=1,
        correlation_id=context.correlation_id,
        causation_id=context.causation_id,
        traceparent=None,
        actor=context.principal.actor,
        occurred_at=now,
        payload=event.example,
    )
