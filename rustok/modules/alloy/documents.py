"""Events as a hook sees them."""

from datetime import datetime
from typing import Any
from uuid import UUID

from rustok.kernel.context import Context
from rustok.kernel.event import Envelope
from rustok.kernel.ids import derived_id

API, CRON, MANUAL = "alloy.api", "alloy.cron", "alloy.manual"
"""What starts a run without an event of the log."""


def run_id_of(event_id: UUID, script_id: UUID) -> UUID:
    """Return the id of a script's run on an event: always the same, so that a consumer which reads the log again runs
    nothing twice that `finished_jobs` still knows.
    """
    return derived_id(event_id, str(script_id))


def of_event(event: Envelope) -> dict[str, Any]:
    """Return an event of the log."""
    return {
        "id": str(event.event_id),
        "type": event.type,
        "version": event.schema_version,
        "tenant_id": str(event.tenant_id),
        "aggregate_type": event.aggregate_type,
        "aggregate_id": str(event.aggregate_id),
        "aggregate_version": event.aggregate_version,
        "occurred_at": event.occurred_at.isoformat(),
        "actor": event.actor,
        "correlation_id": str(event.correlation_id),
        "causation_id": str(event.causation_id),
        "traceparent": event.traceparent,
        "payload": event.payload,
    }


def cron_event(run_id: UUID, tenant_id: UUID, actor: str, due_at: str) -> dict[str, Any]:
    """Return what a hook sees as its event at a moment of a cron trigger."""
    return {
        "id": str(run_id),
        "type": CRON,
        "version": 1,
        "tenant_id": str(tenant_id),
        "aggregate_type": "run",
        "aggregate_id": str(run_id),
        "aggregate_version": 0,
        "occurred_at": due_at,
        "actor": actor,
        "correlation_id": str(run_id),
        "causation_id": str(run_id),
        "traceparent": None,
        "payload": {"due_at": due_at},
    }


def of_start(kind: str, run_id: UUID, context: Context, now: datetime, payload: Any) -> dict[str, Any]:
    """Return what a hook sees as its event when somebody has started it."""
    return {
        "id": str(run_id),
        "type": kind,
        "version": 1,
        "tenant_id": str(context.tenant_id),
        "aggregate_type": "run",
        "aggregate_id": str(run_id),
        "aggregate_version": 1,
        "occurred_at": now.isoformat(),
        "actor": context.principal.actor,
        "correlation_id": str(context.correlation_id),
        "causation_id": str(context.causation_id),
        "traceparent": context.traceparent,
        "payload": payload,
    }
