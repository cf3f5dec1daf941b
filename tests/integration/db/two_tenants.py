"""A database in which two tenants have a row in every table: what the fences between them are tried on."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any, Self
from uuid import UUID

import asyncpg

from rustok.catalog import MODULES
from rustok.testing import DatabaseServer, PlatformUnderTest
from tests.integration.db.tenant_tables import tenant_tables
from tests.integration.db.tenants_with_everything import tenants_with_everything

READ = "SELECT count(*) FROM {table} WHERE tenant_id = $1"
CHANGE = """
    WITH changed AS (UPDATE {table} SET tenant_id = tenant_id WHERE tenant_id = $1 RETURNING 1)
    SELECT count(*) FROM changed
"""
DELETE = "WITH gone AS (DELETE FROM {table} WHERE tenant_id = $1 RETURNING 1) SELECT count(*) FROM gone"
"""What is done to the rows of a tenant, for `TwoTenants.as_app`; each returns how many it has reached."""


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
            ours, theirs = await tenants_with_everything(platform, admin, "ours", "theirs")
            yield cls(platform, ours, theirs, await tenant_tables(admin))

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


@asynccontextmanager
async def asyncpg_connection(url: str) -> AsyncIterator[asyncpg.Connection]:
    connection = await asyncpg.connect(url)
    try:
        yield connection
    finally:
        await connection.close()
