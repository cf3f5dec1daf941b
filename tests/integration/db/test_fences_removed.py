"""Row level security and the keys, each taken away: what finds the other tenant's rows then is what guards them."""

from collections.abc import AsyncIterator, Iterable, Mapping
from uuid import UUID

import asyncpg
import pytest

from rustok.testing import DatabaseServer
from tests.integration.db.references import Reference, drop_the_tenant_from, references_between_tenants
from tests.integration.db.two_tenants import CHANGE, DELETE, READ, TwoTenants

SEARCHES = [
    *[("list_products", "en", None, "{}", sort) for sort in ("newest", "title", "price", "-price")],
    *[("search_products", "en", "bicycle", "{}", sort) for sort in ("relevance", "newest", "title", "price", "-price")],
    ("list_products", "en", None, '{"price_to": "20000"}', "price"),
    ("list_products", "en", None, '{"price_from": "1"}', "newest"),
    ("search_products", "en", "bicycle", '{"price_from": "1"}', "relevance"),
    *[("list_content", "x", None, "{}", sort) for sort in ("newest", "title", "position")],
    *[("search_content", "x", "x", "{}", sort) for sort in ("relevance", "newest", "title", "position")],
    ("list_content", "x", None, '{"kind": "x"}', "newest"),
    ("list_content", "x", None, '{"author": "x"}', "newest"),
]
"""One of each statement that a search may come to: the function, and what it is asked."""


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


async def test_a_search_finds_the_rows_of_its_tenant_by_its_own_words(two_tenants: TwoTenants) -> None:
    """Its role sees every tenant's. Each statement that has lost the tenant finds both tenants' rows."""
    await give_content_an_author(two_tenants)
    before = await rows_found(two_tenants, two_tenants.ours)

    await change_searches(two_tenants, r"tenant_id = (\$1|tenant)\M", "true")

    after = await rows_found(two_tenants, two_tenants.ours)
    assert before == [1] * len(SEARCHES)
    assert after == [2] * len(SEARCHES)


async def test_a_search_that_does_not_compare_the_tenant_is_open(two_tenants: TwoTenants) -> None:
    """What test_row_level_security.py asks of another tenant it answers then."""
    await give_content_an_author(two_tenants)

    await change_searches(two_tenants, "IF tenant IS DISTINCT FROM", "IF false AND tenant IS DISTINCT FROM")

    assert await rows_found(two_tenants, two_tenants.theirs) == [1] * len(SEARCHES)


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

    assert refused == dict.fromkeys(reference.name for reference in references)


async def alter_every_table(two: TwoTenants, change: str) -> None:
    async with two.connected(two.platform.database.admin_url) as admin:
        for table in two.tables:
            await admin.execute(f"ALTER TABLE {table} {change}")


async def rows_found(two: TwoTenants, tenant_id: UUID) -> list[int]:
    """Return how many rows of a tenant each search finds for us."""
    async with two.connected(two.platform.database.app_url, two.ours) as app:
        return [
            await app.fetchval(f"SELECT count(*) FROM {function}($1, $2, $3, $4, $5, NULL, 10)", tenant_id, *asked)
            for function, *asked in SEARCHES
        ]


async def change_searches(two: TwoTenants, words: str, others: str) -> None:
    """Put *others* in the place of *words*, a regular expression, in each search function."""
    async with two.connected(two.platform.database.admin_url) as admin:
        changed = await admin.fetch(
            """
            SELECT regexp_replace(pg_get_functiondef(oid), $1, $2, 'g') AS definition FROM pg_proc
             WHERE proname ~ '^(list|search)_(products|content)$' AND pg_get_functiondef(oid) ~ $1
            """,
            words,
            others,
        )
        assert len(changed) == 4
        for row in changed:
            await admin.execute(row["definition"])


async def give_content_an_author(two: TwoTenants) -> None:
    """Let rows that were filled with anything be found by every filter."""
    async with two.connected(two.platform.database.admin_url) as admin:
        await admin.execute("UPDATE index_content SET author = 'x'")


def reached(found: Mapping[str, int | str]) -> set[str]:
    """Return the tables with rows that a statement has reached: neither none nor refused."""
    return {table for table, rows in found.items() if isinstance(rows, int) and rows > 0}


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
