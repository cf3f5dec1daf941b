"""Rows of the audit log that somebody above all rights has tampered with: the first bad one is named."""

import random
import tracemalloc
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import NamedTuple
from uuid import UUID

import asyncpg
import pytest
from sqlalchemy.ext.asyncio import AsyncEngine

from rustok.catalog import MODULES
from rustok.db.engine import open_engine
from rustok.modules.access import Head, head_of_audit, verify_audit
from rustok.modules.access.audit_chain import AuditRow
from rustok.testing import Database, DatabaseServer, PlatformUnderTest
from tests.integration.access.auditing import append, key_events, tampering

ROWS = 10_000
PLACES = [1, ROWS - 1, *random.Random(6).sample(range(2, ROWS - 1), 3)]
OTHER_VALUES = {
    "uuid": "gen_random_uuid()",
    "bigint": "{column} + 1000000",
    "text": "{column} || ' '",
    "timestamp with time zone": "{column} + interval '1 microsecond'",
    "jsonb": """{column} || '{{"role": "owner"}}'""",
    "bytea": "set_bit({column}, 0, 1 - get_bit({column}, 0))",
}
"""Another value of a column, by its type."""
MEMORY_BYTES = 5_000_000
"""Two pages take half of it; ten thousand rows, twice as much."""
RESTORE = "TRUNCATE audit_log; INSERT INTO audit_log TABLE kept"


class Chain(NamedTuple):
    """Ten thousand rows of one tenant, and some of another."""

    database: Database
    engine: AsyncEngine
    tenant: UUID
    other: UUID
    head: Head


Tamper = Callable[[asyncpg.Connection, UUID, int], Awaitable[None]]


@pytest.fixture(scope="module")
async def chain(database_server: DatabaseServer) -> AsyncIterator[Chain]:
    async with database_server.throw_away() as database:
        async with PlatformUnderTest.open(MODULES, database) as rustok:
            tenant, other = [await rustok.create_tenant(slug) for slug in ("acme", "globex")]
        async with open_engine(database.system_url) as engine:
            await append(engine, [*key_events(tenant, ROWS), *key_events(other, 10)])
            yield Chain(database, engine, tenant, other, await head_of_audit(engine, tenant))


@pytest.fixture
async def admin(chain: Chain) -> AsyncIterator[asyncpg.Connection]:
    """Somebody whom nothing binds; what was done is undone afterwards."""
    async with tampering(chain.database) as admin:
        await admin.execute("CREATE TABLE kept AS TABLE audit_log")
        yield admin
        await admin.execute(f"{RESTORE}; DROP TABLE kept")


async def change(admin: asyncpg.Connection, tenant: UUID, number: int) -> None:
    await admin.execute(
        "UPDATE audit_log SET actor = 'operator:mallory' WHERE tenant_id = $1 AND number = $2", tenant, number
    )


async def delete(admin: asyncpg.Connection, tenant: UUID, number: int) -> None:
    await admin.execute("DELETE FROM audit_log WHERE tenant_id = $1 AND number = $2", tenant, number)


async def delete_and_close_the_gap(admin: asyncpg.Connection, tenant: UUID, number: int) -> None:
    await delete(admin, tenant, number)
    await admin.execute("UPDATE audit_log SET number = number - 1 WHERE tenant_id = $1 AND number > $2", tenant, number)


async def insert(admin: asyncpg.Connection, tenant: UUID, number: int) -> None:
    await admin.execute(
        "UPDATE audit_log SET number = number + 1 WHERE tenant_id = $1 AND number >= $2", tenant, number
    )
    await copy(admin, tenant, number + 1, number)


async def insert_beside(admin: asyncpg.Connection, tenant: UUID, number: int) -> None:
    await copy(admin, tenant, number, number)


async def reorder(admin: asyncpg.Connection, tenant: UUID, number: int) -> None:
    await admin.execute(
        """
        UPDATE audit_log SET number = $2 + $3 - number
         WHERE tenant_id = $1 AND number BETWEEN $2::bigint AND $3::bigint
        """,
        tenant,
        number,
        number + 1,
    )


async def copy(admin: asyncpg.Connection, tenant: UUID, number: int, to: int) -> None:
    columns = ", ".join(AuditRow._fields[3:])
    await admin.execute(
        f"""
        INSERT INTO audit_log (tenant_id, number, event_id, {columns})
        SELECT tenant_id, $3, gen_random_uuid(), {columns} FROM audit_log WHERE tenant_id = $1 AND number = $2
        """,
        tenant,
        number,
        to,
    )


@pytest.mark.parametrize("number", PLACES)
@pytest.mark.parametrize(
    "tamper",
    [change, delete, delete_and_close_the_gap, insert, insert_beside, reorder],
    ids=lambda tamper: tamper.__name__ if callable(tamper) else None,
)
async def test_the_first_bad_row_is_named(chain: Chain, admin: asyncpg.Connection, tamper: Tamper, number: int) -> None:
    """Of ten thousand. All rows before it are good, and so is the other tenant's chain."""
    await tamper(admin, chain.tenant, number)

    good, fault = await verify_audit(chain.engine, chain.tenant)

    assert fault is not None
    assert (good, fault.number) == (number - 1, number)
    assert await verify_audit(chain.engine, chain.other) == (10, None)


async def test_every_column_is_covered(chain: Chain, admin: asyncpg.Connection) -> None:
    """As PostgreSQL lists them, so that a new one is not forgotten."""
    columns = await admin.fetch(
        """
        SELECT attname AS name, format_type(atttypid, atttypmod) AS type FROM pg_attribute
         WHERE attrelid = 'audit_log'::regclass AND attnum > 0 AND NOT attisdropped ORDER BY attnum
        """
    )
    assert tuple(column["name"] for column in columns) == AuditRow._fields

    for number, column in enumerate(columns, start=101):
        other = OTHER_VALUES[column["type"]].format(column=column["name"])
        await admin.execute(
            f"UPDATE audit_log SET {column['name']} = {other} WHERE tenant_id = $1 AND number = $2",
            chain.tenant,
            number,
        )
        good, fault = await verify_audit(chain.engine, chain.tenant)
        assert fault is not None, column["name"]
        assert (good, fault.number) == (number - 1, number), column["name"]
        await admin.execute(RESTORE)


@pytest.mark.parametrize("kept", [0, 1, ROWS - 1])
async def test_a_tail_that_was_cut_off_is_missed_by_an_anchor(
    chain: Chain, admin: asyncpg.Connection, kept: int
) -> None:
    """Without one, what is left is a chain."""
    await admin.execute("DELETE FROM audit_log WHERE tenant_id = $1 AND number > $2", chain.tenant, kept)

    good, fault = await verify_audit(chain.engine, chain.tenant, chain.head)

    assert fault is not None
    assert (good, fault.number) == (kept, kept + 1)
    assert await verify_audit(chain.engine, chain.tenant) == (kept, None)


async def test_ten_thousand_rows_hold(chain: Chain) -> None:
    """As they were appended, in one batch: beyond a page, and to the anchor."""
    assert await verify_audit(chain.engine, chain.tenant, chain.head) == (ROWS, None)


async def test_a_chain_of_any_length_is_verified_in_little_memory(chain: Chain) -> None:
    """What a page takes and the next one, however many there are."""
    tracemalloc.start()
    try:
        await verify_audit(chain.engine, chain.tenant)
        peak_bytes = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()

    assert peak_bytes < MEMORY_BYTES
