"""The audit log: made of events, outside of requests; read by its tenant; verified by an operator."""

from collections.abc import AsyncIterator, Sequence
from datetime import datetime
from typing import Annotated, Any, ClassVar
from uuid import UUID

from pydantic import Field, StringConstraints
from sqlalchemy.ext.asyncio import AsyncEngine

from rustok.db.failures import translated_failures
from rustok.db.transaction import Transaction
from rustok.db.unit_of_work import UnitOfWork
from rustok.kernel.event import Envelope, LoggedEvent, matches
from rustok.kernel.fields import EventPattern
from rustok.kernel.module import PageLinks, QueryInput, Result
from rustok.modules.access import audit_repository
from rustok.modules.access.audit_chain import NO_ROW, AuditRow, ChainCheck, Head, Verdict

AUDITED = (
    "access.*",
    "tenants.tenant.created",
    "tenants.tenant.disabled",
    "tenants.tenant.enabled",
    "tenants.tenant.request_quota_set",
    "tenants.domain.*",
    "tenants.storefront.*",
    "tenants.module.*",
    "alloy.script.*",
)
"""The events that go into it: who may act and how, what the tenant is open to, and the code that runs in its name."""
_PAGE = 1_000


class ListAudit(QueryInput):
    """`type`: an event type such as `access.api_key.created`, or `access.*`; `actor`: such as `operator:anna`."""

    example: ClassVar = {"type": "access.*"}

    type: EventPattern = "*"
    actor: Annotated[str, StringConstraints(min_length=1, max_length=255)] | None = None
    limit: Annotated[int, Field(ge=1, le=100)] = 50
    after: str | None = None


class AuditEntry(Result):
    """What was done, by whom. `number` and `hash` together are an anchor of the chain up to here."""

    number: int
    event_id: UUID
    type: str
    actor: str
    aggregate_type: str
    aggregate_id: UUID
    correlation_id: UUID
    causation_id: UUID
    occurred_at: datetime
    payload: dict[str, Any]
    hash: str


class AuditPage(Result):
    """Rows, the newest first."""

    data: list[AuditEntry]
    page: PageLinks


async def append_events(transaction: Transaction, events: Sequence[LoggedEvent]) -> None:
    """Append a row for each event that is audited, in their order, to the chain of its tenant.

    One that has its row already gets no other.
    """
    audited = [e.envelope for e in events if any(matches(pattern, e.envelope.type) for pattern in AUDITED)]
    if not audited:
        return
    await audit_repository.lock_chains(transaction)
    heads: dict[UUID, Head] = {}
    rows = []
    for prepared in await audit_repository.prepare(transaction, audited):
        event = audited[prepared.place]
        stored = NO_ROW if prepared.number is None else Head(prepared.number, prepared.hash)
        row = _row(event, heads.get(event.tenant_id, stored), prepared.occurred_at, prepared.payload)
        heads[event.tenant_id] = row.head
        rows.append((row, event))
    await audit_repository.append(transaction, rows)


def _row(event: Envelope, head: Head, occurred_at: str, payload: str) -> AuditRow:
    return AuditRow(
        tenant_id=event.tenant_id,
        number=head.number + 1,
        event_id=event.event_id,
        type=event.type,
        actor=event.actor,
        aggregate_type=event.aggregate_type,
        aggregate_id=event.aggregate_id,
        correlation_id=event.correlation_id,
        causation_id=event.causation_id,
        occurred_at=occurred_at,
        payload=payload,
        previous_hash=head.hash,
    ).sealed()


async def list_audit(uow: UnitOfWork, data: ListAudit) -> AuditPage:
    """Return a page of the tenant's audit log, the newest rows first."""
    filters = {
        "type": data.type,
        "prefix": data.type[:-1] if data.type.endswith("*") else None,
        "actor": data.actor,
    }
    page = await audit_repository.LIST.page(uow, filters, data.after, data.limit)
    return AuditPage(data=[AuditEntry(**row._mapping) for row in page.rows], page=page.links)


async def head_of_audit(engine: AsyncEngine, tenant_id: UUID) -> Head:
    """Return the newest row of a tenant's chain; *engine* is that of the role system."""
    with translated_failures():
        row = await audit_repository.find_head(engine, tenant_id)
    return NO_ROW if row is None else Head(row.number, row.hash)


async def verify_audit(engine: AsyncEngine, tenant_id: UUID, anchor: Head = NO_ROW) -> Verdict:
    """Follow a tenant's chain to its end, or to the first fault, page by page; *engine* is that of the role system."""
    check = ChainCheck(anchor)
    with translated_failures():
        async for page in _pages(engine, tenant_id):
            if not all(map(check.follow, page)):
                break
    return check.end()


async def _pages(engine: AsyncEngine, tenant_id: UUID) -> AsyncIterator[Sequence[AuditRow]]:
    last: AuditRow | None = None
    while page := await audit_repository.read_rows(engine, tenant_id, last, _PAGE):
        yield page
        last = page[-1]
