"""Builders of events."""

from datetime import UTC, datetime
from typing import Any
from uuid import UUID

from rustok.kernel.event import Envelope, Event
from rustok.kernel.ids import uuid7


def an_envelope(
    event: type[Event],
    *,
    tenant_id: UUID | None = None,
    aggregate_id: UUID | None = None,
    version: int = 1,
    **payload: Any,
) -> Envelope:
    """Return *event* in an envelope: its example as the payload, with these fields changed."""
    facts = event.model_validate({**event.example, **payload})
    correlation_id = uuid7()
    return Envelope(
        event_id=uuid7(),
        type=event.type,
        schema_version=event.version,
        tenant_id=tenant_id or uuid7(),
        aggregate_type=event.aggregate,
        aggregate_id=aggregate_id or uuid7(),
        aggregate_version=version,
        correlation_id=correlation_id,
        causation_id=correlation_id,
        traceparent=None,
        actor="test:builder",
        occurred_at=datetime(2026, 2, 1, 12, tzinfo=UTC),
        payload=facts.model_dump(mode="json"),
    )
