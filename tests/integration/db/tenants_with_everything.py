"""Tenants that have a row in every table."""

from uuid import UUID

import asyncpg

from rustok.db.idempotency import IdempotencyKey
from rustok.dispatch import Call
from rustok.testing import PlatformUnderTest
from tests.integration.db.tenant_tables import tenant_tables

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


async def tenants_with_everything(platform: PlatformUnderTest, admin: asyncpg.Connection, *slugs: str) -> list[UUID]:
    """Create tenants that have a row in every table with a `tenant_id`."""
    tenants = [await _populate(platform, slug) for slug in slugs]
    for table in await tenant_tables(admin):
        for tenant in tenants:
            if not await admin.fetchval(f"SELECT count(*) FROM {table} WHERE tenant_id = $1", tenant):
                await _fill(admin, table, tenant)
    return tenants


async def _populate(platform: PlatformUnderTest, slug: str) -> UUID:
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
    user = await platform.run("access.users.create", tenant, email=f"ada@{slug}.example", name="Ada")
    await platform.run("access.users.set_password", tenant, user_id=str(user.id), password="correct horse battery")
    await platform.run("tenants.domains.add", tenant, domain=f"{slug}.example")
    await platform.settle()
    await platform.run("access.api_keys.create", tenant, name="shop", role="customer")  # stays in the outbox
    return tenant


async def _fill(admin: asyncpg.Connection, table: str, tenant_id: UUID) -> None:
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
