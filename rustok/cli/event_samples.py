"""Events as hooks see them: made of the examples of the event classes, or real ones of the log."""

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

from sqlalchemy import text

from rustok.cli.tenancy import TenantSession
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
    if event_type not in {event.type for event in registry.events.values()}:
        raise NotFound(f"There are no events {event_type}: `rustok events samples` lists the types.")
    return of_event(_envelope(registry.newest(event_type), context, now))


async def find_event(at: TenantSession, event_id: UUID) -> Envelope:
    """Return an event of the tenant's log, which is searched from its end, in its newest version.

    Raises:
        NotFound: there is none, or it has not got its place yet.

    """
    with translated_failures():
        values = {"tenant_id": at.tenant_id, "event_id": event_id}
        row = (await run_alone(at.session.system_engine, _FIND, values)).one_or_none()
    if row is None:
        raise NotFound(f"The tenant's log has no event {event_id}: `rustok events tail` shows those there are.")
    return at.session.platform.registry.upcast(logged_event(row).envelope)


async def latest_events(at: TenantSession, event_type: str | None = None, limit: int = 1) -> Sequence[Envelope]:
    """Return the latest events of the tenant's log, newest first, in their newest versions."""
    values = {"tenant_id": at.tenant_id, "type": event_type, "limit": limit}
    with translated_failures():
        rows = await run_alone(at.session.system_engine, _LATEST, values)
    return [at.session.platform.registry.upcast(logged_event(row).envelope) for row in rows]


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
