"""Erases a tenant: all its rows in every table, whoever made that table, and at last the tenant itself.

It may be killed at any moment: the next one goes on. docs/decisions/0035 says why an operator's process does it.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import TextClause, text
from sqlalchemy.exc import DBAPIError
from sqlalchemy.ext.asyncio import AsyncEngine

from rustok.db.failures import sqlstate, translated_failures
from rustok.db.tenant_tables import TenantTable, tenant_tables
from rustok.db.transaction import begin, run_alone
from rustok.kernel.errors import Conflict
from rustok.kernel.module import Result
from rustok.kernel.ports import Clock
from rustok.modules.tenants.errors import TenantNotFound
from rustok.modules.tenants.events import TenantErased

_LOCK = text("SELECT is_active FROM tenants WHERE id = :tenant_id FOR NO KEY UPDATE")
_BEGIN = text("INSERT INTO erased_tenants (id, requested_by) VALUES (:tenant_id, :requested_by) ON CONFLICT DO NOTHING")
_COUNT = text(
    """
    UPDATE erased_tenants
       SET rows = rows || jsonb_build_object(CAST(:name AS text), coalesce(CAST(rows->>:name AS bigint), 0) + :deleted)
     WHERE id = :tenant_id
    """
)
_PAGES = text(
    """
    SELECT max(pg_relation_size(oid)) / CAST(current_setting('block_size') AS bigint) AS pages
      FROM (SELECT CAST(:name AS regclass) AS oid
             UNION ALL
            SELECT inhrelid FROM pg_inherits WHERE inhparent = CAST(:name AS regclass)) AS parts
    """
)
_NOW = text("SELECT CAST(CAST(pg_current_xact_id() AS text) AS bigint)")
_HAVE_ENDED = text("SELECT CAST(CAST(pg_snapshot_xmin(pg_current_snapshot()) AS text) AS bigint) >= :horizon")
_END = text("UPDATE erased_tenants SET ended_at = now() WHERE id = :tenant_id")
_DELETE_TENANT = text("DELETE FROM tenants WHERE id = :tenant_id")
_LIST = text("SELECT id, requested_by, begun_at, ended_at, rows FROM erased_tenants ORDER BY begun_at")
# By an index the dead rows of earlier batches are passed over; otherwise each batch would read all of them again.
_BEGIN_BATCH = "BEGIN; SET LOCAL enable_seqscan = off; SET LOCAL enable_bitmapscan = off"
# One snapshot for all tables; where a tenant has many neighbours, the look takes its time.
_BEGIN_PROOF = "BEGIN ISOLATION LEVEL REPEATABLE READ; SET LOCAL statement_timeout = 0"
_LOG = "event_log"
_NOBODY = UUID(int=0)
# The sequencer counts on from the newest event of the log. So that one stays, as an event of nobody's.
_DISOWN_HEAD = text(
    """
    UPDATE event_log
       SET tenant_id = :nobody, aggregate_id = :nobody, aggregate_type = :aggregate_type, type = :type,
           schema_version = 1, payload = '{}', actor = 'platform', correlation_id = :nobody, causation_id = :nobody,
           traceparent = NULL
     WHERE tenant_id = :tenant_id AND position = (SELECT max(position) FROM event_log)
    """
)
_WRITTEN_MEANWHILE = ("40001", "23503")
"""Serialization failure; foreign key violation, by a row that refers to the tenant."""
_POLL_S = 0.1
WAITING = "(waits for older transactions)"


class TenantStillEnabled(Conflict):
    """The tenant is switched on: only one that is switched off is erased."""

    code = "tenant_still_enabled"


class ErasedTenant(Result):
    """What is known of an erasure: whose, by whom, and how many rows of each table. `ended_at`: None, it goes on."""

    id: UUID
    requested_by: str
    begun_at: datetime
    ended_at: datetime | None
    rows: dict[str, int]


@dataclass(frozen=True, slots=True)
class ErasureConfig:
    rows: int = 5_000
    """Rows that a transaction deletes at most, where an index finds them."""
    pages: int = 64
    """Pages that a transaction looks at, of each partition, where none does."""


@dataclass(frozen=True, slots=True)
class Erasure:
    """*engine* is that of the role system; *told* hears of each step: what is being emptied, and of how many rows."""

    engine: AsyncEngine
    clock: Clock
    told: Callable[[str, int], None] = lambda _step, _deleted: None
    config: ErasureConfig = field(default_factory=ErasureConfig)

    async def erase(self, tenant_id: UUID, requested_by: str) -> None:
        """Erase a tenant that is switched off, or go on with that.

        Raises:
            TenantNotFound: there is none, or not any more.
            TenantStillEnabled: it is switched on.

        """
        with translated_failures():
            await self._begin(tenant_id, requested_by)
            while True:
                async with begin(self.engine, "BEGIN") as (transaction, _):
                    tables = await tenant_tables(transaction)
                for table in tables:
                    await self._empty(tenant_id, table)
                await self._older_transactions_have_ended()
                if await self._end(tenant_id, tables):
                    return

    async def _begin(self, tenant_id: UUID, requested_by: str) -> None:
        """Keep that it has begun: from then on nobody can switch the tenant on."""
        async with begin(self.engine, "BEGIN") as (transaction, _):
            is_active = (await transaction.execute(_LOCK, {"tenant_id": tenant_id})).scalar_one_or_none()
            if is_active is None:
                raise TenantNotFound(f"There is no tenant {tenant_id}.")
            if is_active:
                raise TenantStillEnabled("Switch the tenant off first: `rustok tenant disable`.")
            await transaction.execute(_BEGIN, {"tenant_id": tenant_id, "requested_by": requested_by})

    async def _empty(self, tenant_id: UUID, table: TenantTable) -> None:
        for column in table.refers_to_itself_by:
            while await self._change(tenant_id, table, _release(table, column), {"limit": self.config.rows}):
                pass
        if table.name == _LOG:
            named = {"aggregate_type": TenantErased.aggregate, "type": TenantErased.type, "nobody": _NOBODY}
            await self._change(tenant_id, table, _DISOWN_HEAD, named, deletes=True)
        if table.has_tenant_index:
            while await self._change(tenant_id, table, _delete(table), {"limit": self.config.rows}, deletes=True):
                pass
            return
        pages = (await run_alone(self.engine, _PAGES, {"name": table.name})).scalar_one()
        for first in range(0, pages, self.config.pages):
            bounds = {"first": f"({first},0)", "end": f"({first + self.config.pages},0)"}
            await self._change(tenant_id, table, _delete_pages(table), bounds, deletes=True)

    async def _change(
        self,
        tenant_id: UUID,
        table: TenantTable,
        statement: TextClause,
        values: Mapping[str, Any],
        *,
        deletes: bool = False,
    ) -> int:
        """Change some rows, and count those that are deleted in the same transaction; return how many were changed."""
        async with begin(self.engine, _BEGIN_BATCH) as (transaction, _):
            changed = (await transaction.execute(statement, {"tenant_id": tenant_id, **values})).rowcount
            if deletes and changed:
                counted = {"tenant_id": tenant_id, "name": table.name, "deleted": changed}
                await transaction.execute(_COUNT, counted)
        self.told(table.name, changed if deletes else 0)
        return changed

    async def _older_transactions_have_ended(self) -> None:
        """Wait for all that has begun to write: afterwards nobody has rows of the tenant in hand that were there."""
        horizon = (await run_alone(self.engine, _NOW)).scalar_one()
        while not (await run_alone(self.engine, _HAVE_ENDED, {"horizon": horizon})).scalar_one():
            self.told(WAITING, 0)
            await self.clock.sleep(_POLL_S)

    async def _end(self, tenant_id: UUID, tables: Sequence[TenantTable]) -> bool:
        """Delete the tenant itself if no table has a row of it; tell whether that was so."""
        try:
            async with begin(self.engine, _BEGIN_PROOF) as (transaction, _):
                for table in tables:
                    if (await transaction.execute(_any(table), {"tenant_id": tenant_id})).scalar_one():
                        return False
                await transaction.execute(_DELETE_TENANT, {"tenant_id": tenant_id})
                await transaction.execute(_END, {"tenant_id": tenant_id})
        except DBAPIError as error:
            if sqlstate(error) not in _WRITTEN_MEANWHILE:
                raise
            return False
        return True


async def list_erasures(engine: AsyncEngine) -> list[ErasedTenant]:
    """Return what is known of each erasure, the oldest first."""
    with translated_failures():
        return [ErasedTenant(**row._mapping) for row in await run_alone(engine, _LIST)]


def _delete(table: TenantTable) -> TextClause:
    # A place alone would also be one of another partition.
    return text(
        f"""
        DELETE FROM {table.name} WHERE tenant_id = :tenant_id AND ctid = ANY (ARRAY(
            SELECT ctid FROM {table.name} WHERE tenant_id = :tenant_id LIMIT :limit))
        """
    )


def _delete_pages(table: TenantTable) -> TextClause:
    return text(
        f"""
        DELETE FROM {table.name}
         WHERE tenant_id = :tenant_id
           AND ctid >= CAST(CAST(:first AS text) AS tid) AND ctid < CAST(CAST(:end AS text) AS tid)
        """
    )


def _release(table: TenantTable, column: str) -> TextClause:
    return text(
        f"""
        UPDATE {table.name} SET {column} = NULL WHERE tenant_id = :tenant_id AND ctid = ANY (ARRAY(
            SELECT ctid FROM {table.name} WHERE tenant_id = :tenant_id AND {column} IS NOT NULL LIMIT :limit))
        """
    )


def _any(table: TenantTable) -> TextClause:
    return text(f"SELECT EXISTS (SELECT FROM {table.name} WHERE tenant_id = :tenant_id)")
