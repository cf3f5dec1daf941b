"""An event outside the process: CloudEvents 1.0.2, JSON format, structured mode (github.com/cloudevents/spec)."""

from datetime import datetime
from typing import Annotated, Any, Literal
from uuid import UUID

from pydantic import Field

from rustok.kernel.event import Envelope, schema_uri
from rustok.kernel.module import Result


class CloudEvent(Result):
    """`source` and `id` together name the event, wherever it is met again; `data` fits the schema `dataschema`.

    `partitionkey` and `traceparent` are extensions of the specification's own, the other ids are ours.
    """

    specversion: Literal["1.0"]
    id: UUID
    source: str
    type: str
    subject: str
    time: datetime
    datacontenttype: Literal["application/json"]
    dataschema: str
    tenantid: UUID
    correlationid: UUID
    causationid: UUID
    partitionkey: str
    traceparent: Annotated[str | None, Field(exclude_if=lambda value: value is None)]
    data: dict[str, Any]


def cloud_event(event: Envelope) -> CloudEvent:
    """Return *event* as everybody outside gets it: `rustok.commerce.product.created.v1`, about `product/0198…`."""
    module = event.type.partition(".")[0]
    return CloudEvent(
        specversion="1.0",
        id=event.event_id,
        source=f"/tenants/{event.tenant_id}/{module}",
        type=cloud_event_type(event.schema),
        subject=f"{event.aggregate_type}/{event.aggregate_id}",
        time=event.occurred_at,
        datacontenttype="application/json",
        dataschema=schema_uri(event.schema),
        tenantid=event.tenant_id,
        correlationid=event.correlation_id,
        causationid=event.causation_id,
        partitionkey=str(event.aggregate_id),
        traceparent=event.traceparent,
        data=dict(event.payload),
    )


def cloud_event_type(schema: str) -> str:
    """Return the type that CloudEvents have whose data goes by this `schema_name`."""
    return f"rustok.{schema}"
