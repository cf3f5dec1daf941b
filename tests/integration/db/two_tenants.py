"""A database in which two tenants have a row in every table: what the fences between them are tried on."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any, Self
from uuid import UUID

import asyncpg

from rustok.catalog import MODULES
from rustok.db.idempotency import IdempotencyKey
from rustok.dispatch import Call
from rustok.testing import DatabaseServer, PlatformUnderTest
from tests.integration.db.tenant_tables import tenant_tables

READ = "SELECT count(*) FROM {table} WHERE tenant_id = $1"
CHANGE = """
    WITH changed AS (UPDATE {table} SET tenant_id = tenant_id WHERE tenant_id = $1 RETURNING 1)
    SELECT count(*) FROM changed
"""
DELETE = "WITH gone AS (DELETE FROM {table} WHERE tenant_id = $1 RETURNING 1) SELECT count(*) FROM gone"
"""What is done to the rows of a tenant, for `TwoTenants.as_app`; each returns how many it has reached."""

ANY_VALUE = {
    "uuid": "gen_random_uuid()",
    "boolean": "true",
    "bytea": "'x'",
    "text": "'x'",
    "tsvector": "'x'",
    **dict.fromkeys(("smallint", "integer", "bigint", "numeric", "real", "double precision"), "1"),
    **dict.fromkeys(("timestamp with time zone", "date"), "now()"),
}
"""A value of each type; of the others, arrays and JSON, `{}` is one."""


@dataclass(frozen=True, slots=True)
class TwoTenants:
    """A database in which two tenants have a row in every table."""

    platform: PlatformUnderTest
    ours: UUID
    theirs: UUID
    tables: tuple[str, ...]

    @classmethod
    @asynccontextmanager
    async def open(cls, server: DatabaseServer) -> AsyncIterator[Self]:
        async with (
            server.throw_away() as database,
            PlatformUnderTest.open(MODULES, database) as platform,
            asyncpg_connection(database.admin_url) as admin,
        ):
            ours, theirs = await populate(platform, "ours"), await populate(platform, "theirs")
            tables = await tenant_tables(admin)
            for table in tables:
                for tenant in (ours, theirs):
                    if not await admin.fetchval(READ.format(table=table), tenant):
                        await fill(admin, table, tenant)
            yield cls(platform, ours, theirs, tables)

    @asynccontextmanager
    async def connected(self, url: str, tenant_id: UUID | None = None) -> AsyncIterator[asyncpg.Connection]:
        """Connect, and bind the session to a tenant as the unit of work binds its transaction."""
        async with asyncpg_connection(url) as connection:
            if tenant_id is not None:
                await connection.execute("SELECT set_config('rustok.tenant_id', $1, false)", str(tenant_id))
            yield connection

    async def as_app(self, statement: str, *parameters: object) -> dict[str, Any]:
        """Run `{table}`'s statement for every table as app bound to us; return its first value, or its SQLSTATE."""
        found: dict[str, Any] = {}
        async with self.connected(self.platform.database.app_url, self.ours) as connection:
            for table in self.tables:
                transaction = connection.transaction()
                await transaction.start()
                try:
                    found[table] = await connection.fetchval(statement.format(table=table), *parameters)
                except asyncpg.PostgresError as error:
                    found[table] = error.sqlstate
                finally:
                    await transaction.rollback()
        return found


async def populate(platform: PlatformUnderTest, slug: str) -> UUID:
    """Create a tenant that has done a little of everything."""
    tenant = await platform.create_tenant(slug)
    product = {
        "status": "active",
        "translations": {"en": {"title": "Red bicycle"}},
        "options": [{"name": "Size", "choices": ["M"]}],
        "variants": [{"sku": "BIKE-1", "option1": "M", "prices": {"EUR": {"amount": 19900}}}],
    }
    create = Call(platform.registry.commands["commerce.products.create"], product)
    key = IdempotencyKey("key-1", "POST /products", b"{}")
    await platform.platform.dispatcher.run(create, platform.context(tenant), key)
    await platform.run("access.api_keys.create", tenant, name="till", role="manager")
    await platform.settle()
    await platform.run("access.api_keys.create", tenant, name="shop", role="customer")  # stays in the outbox
    return tenant


async def fill(admin: asyncpg.Connection, table: str, tenant_id: UUID) -> None:
    """Give *table* any row of the tenant: what it means is of no matter to a fence."""
    columns = await admin.fetch(
        """
        SELECT attname AS name, format_type(atttypid, atttypmod) AS type FROM pg_attribute
         WHERE attrelid = CAST($1 AS text)::regclass AND attnum > 0 AND NOT attisdropped
           AND (attnotnull OR attname = 'tenant_id') AND attidentity = '' AND attgenerated = ''
        """,
        table,
    )
    checks = await admin.fetch(
        "SELECT conname FROM pg_constraint WHERE conrelid = CAST($1 AS text)::regclass AND contype = 'c'", table
    )
    for check in checks:
        await admin.execute(f"ALTER TABLE {table} DROP CONSTRAINT {check['conname']}")
    values = [f"'{tenant_id}'" if c["name"] == "tenant_id" else ANY_VALUE.get(c["type"], "'{}'") for c in columns]
    names = ", ".join(column["name"] for column in columns)
    await admin.execute("SET session_replication_role = replica")  # neither foreign keys nor triggers
    await admin.execute(f"INSERT INTO {table} ({names}) VALUES ({', '.join(values)})")
    await admin.execute("RESET session_replication_role")


@asynccontextmanager
async def asyncpg_connection(url: str) -> AsyncIterator[asyncpg.Connection]:
    connection = await asyncpg.connect(url)
    try:
        yield connection
    finally:
        await connection.close()
