"""Exports a tenant: its rows of one moment, as JSON Lines a table in a ZIP file, with a manifest.

docs/decisions/0035 says why an operator's process does it.
"""

import hashlib
import json
import zipfile
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import IO, Any
from uuid import UUID

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncEngine

from rustok.db.failures import translated_failures
from rustok.db.transaction import Transaction, begin

FORMAT, FORMAT_VERSION = "rustok-tenant", 1
EXPORTED: tuple[str, ...] = (
    "tenants",
    "tenant_domains",
    "roles",
    "principals",
    "principal_roles",
    "identities",
    "api_keys",
    "audit_log",
    "nodes",
    "node_translations",
    "bodies",
    "products",
    "product_translations",
    "product_options",
    "variants",
    "prices",
    "product_imports",
    "scripts",
    "script_versions",
    "script_values",
    "script_secrets",
    "script_limits",
    "script_attempts",
    "module_absences",
    "finished_jobs",
    "event_log",
    "outbox",
)
LEFT_OUT: Mapping[str, str] = {
    "index_products": "made of products",
    "index_content": "made of nodes",
    "index_versions": "says how far the index is",
    "schedules": "made of the triggers of scripts",
    "script_bytecode": "made of script_versions",
    "script_data_keys": "opens secrets, by a secret of this installation",
    "sessions": "sign people in to this installation",
    "jobs": "work of this installation that has not ended",
    "parked_aggregates": "events that wait in this installation",
    "idempotency_keys": "answers that are kept for a day",
    "disabled_schedules": "set by the operator of this installation",
    "job_pauses": "set by the operator of this installation",
    "job_limits": "set by the operator of this installation",
}
"""Tables without a place in an export, and why. Every table with rows of tenants is in one of the two."""
SECRET: Mapping[str, tuple[str, ...]] = {
    "api_keys": ("secret_hash",),
    "principals": ("password_hash",),
    "script_secrets": ("sealed",),
}
"""Columns that are left out: they are of use to nobody but this installation, and to thieves."""
_CALL_ARGUMENTS = "CASE WHEN kind <> 'alloy.call' THEN args END AS args"
"""What a hook sends to another server may hold a secret that it was shown."""

_BEGIN = "BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY; SET LOCAL statement_timeout = 0"
_TENANT = text("SELECT slug, CAST(now() AS text) AS taken_at FROM tenants WHERE id = :tenant_id")
_COLUMNS = text(
    """
    SELECT attname AS name, format_type(atttypid, atttypmod) AS type FROM pg_attribute
     WHERE attrelid = CAST(:table AS regclass) AND attnum > 0 AND NOT attisdropped ORDER BY attnum
    """
)


@dataclass(frozen=True, slots=True)
class TenantExport:
    """*engine* is that of the role system; *told* hears of each table that is written, and of how many rows."""

    engine: AsyncEngine
    told: Callable[[str, int], None] = lambda _table, _rows: None

    async def write(self, tenant_id: UUID, file: IO[bytes]) -> Mapping[str, Any]:
        """Write all to *file*, which holds what is written and no more in memory; return the manifest.

        It keeps a snapshot until it is done.
        """
        with translated_failures(), zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED, compresslevel=1) as archive:
            async with begin(self.engine, _BEGIN) as (transaction, _):
                tenant = (await transaction.execute(_TENANT, {"tenant_id": tenant_id})).one()
                tables = {table: await self._table(transaction, archive, table, tenant_id) for table in EXPORTED}
            manifest = {
                "format": FORMAT,
                "version": FORMAT_VERSION,
                "tenant": {"id": str(tenant_id), "slug": tenant.slug},
                "taken_at": tenant.taken_at,
                "tables": tables,
                "left_out": dict(LEFT_OUT),
            }
            archive.writestr("manifest.json", json.dumps(manifest, indent=2))
        return manifest

    async def _table(
        self, transaction: Transaction, archive: zipfile.ZipFile, table: str, tenant_id: UUID
    ) -> Mapping[str, Any]:
        columns = await _columns(transaction, table)
        told = {"args": _CALL_ARGUMENTS} if table == "finished_jobs" else {}
        names = ", ".join(told.get(name, f'"{name}"') for name in columns)
        owner = "id" if table == "tenants" else "tenant_id"
        query = f"SELECT row_to_json(r) FROM (SELECT {names} FROM {table} WHERE {owner} = $1) AS r"
        with archive.open(f"{table}.jsonl", "w", force_zip64=True) as member:
            lines = _Lines(member)
            await transaction.copy_json(query, [tenant_id], lines.write)
        self.told(table, lines.count)
        return {"rows": lines.count, "sha256": lines.digest.hexdigest(), "columns": columns}


class _Lines:
    """Writes lines, and keeps how many there were, and their digest."""

    def __init__(self, file: IO[bytes]) -> None:
        self._file = file
        self.count = 0
        self.digest = hashlib.sha256()

    async def write(self, data: bytes) -> None:
        self._file.write(data)
        self.count += data.count(b"\n")
        self.digest.update(data)


async def _columns(transaction: Transaction, table: str) -> Mapping[str, str]:
    rows: Sequence[Any] = (await transaction.execute(_COLUMNS, {"table": table})).all()
    return {row.name: row.type for row in rows if row.name not in SECRET.get(table, ())}
