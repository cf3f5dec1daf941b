"""What tests of the audit log do: append events without a log around them, look at rows, and tamper with them."""

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from typing import Any
from uuid import UUID

import asyncpg
from sqlalchemy.ext.asyncio import AsyncEngine

from rustok.db.transaction import begin
from rustok.kernel.event import Envelope, LoggedEvent
from rustok.modules.access.audit import append_events
from rustok.modules.access.events import ApiKeyCreated
from rustok.testing import Database, an_envelope


def key_events(tenant_id: UUID, count: int) -> list[Envelope]:
    """Return events of as many keys."""
    return [an_envelope(ApiKeyCreated, tenant_id=tenant_id, key_id=f"{n:016x}") for n in range(count)]


async def append(engine: AsyncEngine, events: Sequence[Envelope]) -> None:
    """Have a batch of *events* appended, in one transaction."""
    async with begin(engine, "BEGIN") as (transaction, _):
        await append_events(transaction, [LoggedEvent(n, event) for n, event in enumerate(events)])


@asynccontextmanager
async def tampering(database: Database) -> AsyncIterator[asyncpg.Connection]:
    """Connect as somebody whom neither triggers nor keys nor row level security bind."""
    admin = await asyncpg.connect(database.admin_url, server_settings={"session_replication_role": "replica"})
    try:
        for name in ("audit_log_pkey", "audit_log_event_id_key", "audit_log_number_check"):
            await admin.execute(f"ALTER TABLE audit_log DROP CONSTRAINT IF EXISTS {name}")
        yield admin
    finally:
        await admin.close()


async def rows_of(database: Database, tenant_id: UUID) -> list[Any]:
    """Return a tenant's rows, the oldest first."""
    admin = await asyncpg.connect(database.admin_url)
    try:
        return list(await admin.fetch("SELECT * FROM audit_log WHERE tenant_id = $1 ORDER BY number", tenant_id))
    finally:
        await admin.close()
