"""Row level security and the keys, each taken away: what finds the other tenant's rows then is what guards them."""

from collections.abc import AsyncIterator, Iterable, Mapping
from typing import NamedTuple

import asyncpg
import pytest

from rustok.testing import DatabaseServer
from tests.integration.db.two_tenants import CHANGE, DELETE, READ, TwoTenants

_REFERENCES = """
    SELECT conname AS name, conrelid::regclass::text AS child, confrelid::regclass::text AS parent,
           ARRAY(SELECT attname::text FROM unnest(conkey) WITH ORDINALITY AS k (attnum, place)
                   JOIN pg_attribute USING (attnum) WHERE attrelid = conrelid ORDER BY place) AS columns,
           ARRAY(SELECT attname::text FROM unnest(confkey) WITH ORDINALITY AS k (attnum, place)
                   JOIN pg_attribute USING (attnum) WHERE attrelid = confrelid ORDER BY place) AS referred
      FROM pg_constraint
     WHERE contype = 'f' AND connamespace = 'public'::regnamespace AND confrelid <> 'tenants'::regclass
     ORDER BY conname
"""


class Reference(NamedTuple):
    """A foreign key; the tenant is the first of its columns."""

    name: str
    child: str
    parent: str
    columns: list[str]
    referred: list[str]


@pytest.fixture
async def two_tenants(database_server: DatabaseServer) -> AsyncIterator[TwoTenants]:
    async with TwoTenants.open(database_server) as two_tenants:
        yield two_tenants


@pytest.mark.parametrize("statement", [READ, CHANGE, DELETE], ids=["read", "change", "delete"])
async def test_without_row_level_security_every_table_is_open(two_tenants: TwoTenants, statement: str) -> None:
    """What test_row_level_security.py does to the rows of another tenant reaches them then."""
    own = reached(await two_tenants.as_app(statement, two_tenants.ours))

    await alter_every_table(two_tenants, "DISABLE ROW LEVEL SECURITY")

    assert own
    assert reached(await two_tenants.as_app(statement, two_tenants.theirs)) == own


async def test_without_force_every_table_is_open_to_its_owner(two_tenants: TwoTenants) -> None:
    """Whose password lies in more places than it should."""
    await alter_every_table(two_tenants, "NO FORCE ROW LEVEL SECURITY")

    async with two_tenants.connected(two_tenants.platform.database.owner_url) as owner:
        seen = {
            table: await owner.fetchval(READ.format(table=table), two_tenants.theirs) for table in two_tenants.tables
        }

    assert reached(seen) == set(two_tenants.tables)


async def test_keys_alone_keep_rows_from_referring_to_another_tenants(two_tenants: TwoTenants) -> None:
    """Whoever writes: here a superuser, who is above row level security, by the ids alone."""
    async with two_tenants.connected(two_tenants.platform.database.admin_url) as admin:
        references = await references_between_tenants(admin)

        refused = await refer_to_theirs(two_tenants, admin, references)

    assert len(references) >= 9
    assert refused == {reference.name: asyncpg.ForeignKeyViolationError.sqlstate for reference in references}


async def test_keys_without_the_tenant_would_let_them(two_tenants: TwoTenants) -> None:
    """Row level security does not bind the look-up of a foreign key."""
    async with two_tenants.connected(two_tenants.platform.database.admin_url) as admin:
        references = await references_between_tenants(admin)
        for reference in references:
            await drop_the_tenant_from(admin, reference)

        refused = await refer_to_theirs(two_tenants, admin, references)

    assert refused == dict.fromkeys(refused)


async def alter_every_table(two: TwoTenants, change: str) -> None:
    async with two.connected(two.platform.database.admin_url) as admin:
        for table in two.tables:
            await admin.execute(f"ALTER TABLE {table} {change}")


def reached(found: Mapping[str, int | str]) -> set[str]:
    """Return the tables with rows that a statement has reached: neither none nor refused."""
    return {table for table, rows in found.items() if isinstance(rows, int) and rows > 0}


async def references_between_tenants(admin: asyncpg.Connection) -> list[Reference]:
    """Return the foreign keys of rows of tenants to others."""
    return [Reference(*row) for row in await admin.fetch(_REFERENCES)]


async def refer_to_theirs(
    two: TwoTenants, admin: asyncpg.Connection, references: Iterable[Reference]
) -> dict[str, str | None]:
    """Have our row refer to theirs, by each key; return the SQLSTATE of its refusal."""
    refused: dict[str, str | None] = {}
    for reference in references:
        columns, referred = (", ".join(names[1:]) for names in (reference.columns, reference.referred))
        transaction = admin.transaction()
        await transaction.start()
        try:
            await admin.execute(
                f"""
                UPDATE {reference.child} SET ({columns}) =
                       (SELECT {referred} FROM {reference.parent} WHERE tenant_id = $2 LIMIT 1)
                 WHERE tenant_id = $1
                """,
                two.ours,
                two.theirs,
            )
            refused[reference.name] = None
        except asyncpg.IntegrityConstraintViolationError as error:
            refused[reference.name] = error.sqlstate
        finally:
            await transaction.rollback()
    return refused


async def drop_the_tenant_from(admin: asyncpg.Connection, reference: Reference) -> None:
    columns, referred = (", ".join(names[1:]) for names in (reference.columns, reference.referred))
    await admin.execute(f"ALTER TABLE {reference.child} DROP CONSTRAINT {reference.name}")
    await admin.execute(f"CREATE UNIQUE INDEX ON {reference.parent} ({referred})")
    await admin.execute(
        f"""
        ALTER TABLE {reference.child} ADD CONSTRAINT {reference.name}
              FOREIGN KEY ({columns}) REFERENCES {reference.parent} ({referred}) NOT VALID
        """
    )
