"""Row level security: the role app sees the rows of the tenant its transaction is bound to, and no others."""

from collections.abc import AsyncIterator
from uuid import UUID

import asyncpg
import pytest

from rustok.db.rls import APP, OWNER, SEARCH, SYSTEM
from rustok.testing import DatabaseServer
from tests.integration.db.bound_statements import BY_ID
from tests.integration.db.two_tenants import CHANGE, DELETE, READ, TwoTenants

GLOBAL_KEYS = {
    "api_keys_key_id_key": "the one look-up that happens before the tenant is known",
    "tenant_domains_domain_key": "a host tells the tenant",
    "event_log_pkey": "one log for all tenants",
    "outbox_pkey": "staging of the one log",
}
"""Keys without the tenant, and why."""
SEARCHES = [f"{function}_{kind}" for function in ("search", "list") for kind in ("products", "content")] + [
    "search_products_back",
    "search_content_back",
]


@pytest.fixture(scope="module")
async def two_tenants(database_server: DatabaseServer) -> AsyncIterator[TwoTenants]:
    """One database for the whole file: nothing that these tests do is committed."""
    async with TwoTenants.open(database_server) as two_tenants:
        yield two_tenants


async def rows_of(two: TwoTenants, url: str, tenant_id: UUID) -> dict[str, int]:
    async with two.connected(url) as connection:
        return {table: await connection.fetchval(READ.format(table=table), tenant_id) for table in two.tables}


async def test_both_tenants_have_a_row_in_every_table(two_tenants: TwoTenants) -> None:
    """Otherwise the tests below prove nothing."""
    url = two_tenants.platform.database.admin_url

    ours = await rows_of(two_tenants, url, two_tenants.ours)
    theirs = await rows_of(two_tenants, url, two_tenants.theirs)

    assert [table for table in two_tenants.tables if not (ours[table] and theirs[table])] == []


async def test_every_table_with_tenants_is_fenced_also_against_its_owner(two_tenants: TwoTenants) -> None:
    """Row level security is enabled and forced."""
    async with two_tenants.connected(two_tenants.platform.database.admin_url) as admin:
        open_tables = await admin.fetch(
            """
            SELECT relname FROM pg_class
             WHERE relname = ANY ($1) AND relnamespace = 'public'::regnamespace
               AND NOT (relrowsecurity AND relforcerowsecurity)
            """,
            [*two_tenants.tables, *BY_ID],
        )

    assert open_tables == []


async def test_every_table_with_tenants_has_the_same_policies(two_tenants: TwoTenants) -> None:
    """App by its tenant, system everything; search reads where its functions need to. Nothing else."""
    async with two_tenants.connected(two_tenants.platform.database.admin_url) as admin:
        rows = await admin.fetch("SELECT tablename, policyname, roles, cmd, qual, with_check FROM pg_policies")

    fence = "NULLIF(current_setting('rustok.tenant_id'::text, true), ''::text))::uuid"
    wrong = []
    found: dict[str, set[str]] = {}
    for row in rows:
        column = "id" if row["tablename"] in BY_ID else "tenant_id"
        expected = {
            "tenant": ([APP], "ALL", f"({column} = ({fence})", f"({column} = ({fence})"),
            "every_tenant": ([SYSTEM], "ALL", "true", "true"),
            "search": ([SEARCH], "SELECT", "true", None),
        }[row["policyname"]]
        if (row["roles"], row["cmd"], row["qual"], row["with_check"]) != expected:
            wrong.append((row["tablename"], row["policyname"], row["qual"]))
        found.setdefault(row["tablename"], set()).add(row["policyname"])

    assert wrong == []
    assert {table for table in found if {"tenant", "every_tenant"} <= found[table]} == {*two_tenants.tables, *BY_ID}


async def test_keys_hold_the_tenant(two_tenants: TwoTenants) -> None:
    """Primary, unique and foreign keys: no row can refer to, or collide with, another tenant's."""
    async with two_tenants.connected(two_tenants.platform.database.admin_url) as admin:
        rows = await admin.fetch(
            """
            SELECT con.conname FROM pg_constraint AS con JOIN pg_class AS c ON c.oid = con.conrelid
             WHERE c.relname = ANY ($1) AND con.contype IN ('p', 'u', 'f')
               AND NOT EXISTS (SELECT FROM pg_attribute AS a WHERE a.attrelid = c.oid AND a.attname = 'tenant_id'
                                                                AND a.attnum = ANY (con.conkey))
            """,
            list(two_tenants.tables),
        )

    assert {row["conname"] for row in rows} == set(GLOBAL_KEYS)


async def test_rows_of_another_tenant_cannot_be_read(two_tenants: TwoTenants) -> None:
    """They are not there (0), or the table may not be read at all (42501)."""
    found = await two_tenants.as_app(READ, two_tenants.theirs)

    assert {table: seen for table, seen in found.items() if seen not in (0, "42501")} == {}


async def test_own_rows_can_be_read(two_tenants: TwoTenants) -> None:
    """The fence has a gate: what may be read at all shows the rows of the bound tenant."""
    found = await two_tenants.as_app(READ, two_tenants.ours)

    assert {table for table, seen in found.items() if seen in (0, "42501")} == {"outbox"}


async def test_rows_of_another_tenant_cannot_be_changed(two_tenants: TwoTenants) -> None:
    """An UPDATE finds none of them."""
    found = await two_tenants.as_app(CHANGE, two_tenants.theirs)

    assert {table: seen for table, seen in found.items() if seen not in (0, "42501")} == {}


async def test_rows_of_another_tenant_cannot_be_deleted(two_tenants: TwoTenants) -> None:
    """A DELETE finds none of them."""
    found = await two_tenants.as_app(DELETE, two_tenants.theirs)

    assert {table: seen for table, seen in found.items() if seen not in (0, "42501")} == {}


async def test_rows_cannot_be_inserted_for_another_tenant(two_tenants: TwoTenants) -> None:
    """Refused before any other rule is looked at, so that not even a conflict tells anything."""
    refused: dict[str, str | None] = {}
    async with (
        two_tenants.connected(two_tenants.platform.database.admin_url) as admin,
        two_tenants.connected(two_tenants.platform.database.app_url, two_tenants.ours) as app,
    ):
        for table in two_tenants.tables:
            columns = await admin.fetchval(
                """
                SELECT string_agg(quote_ident(attname), ', ') FROM pg_attribute
                 WHERE attrelid = CAST($1 AS text)::regclass AND attnum > 0 AND NOT attisdropped AND attidentity = ''
                   AND attgenerated = ''
                """,
                table,
            )
            row = await admin.fetchval(
                f"SELECT to_jsonb(t) FROM {table} AS t WHERE tenant_id = $1 LIMIT 1", two_tenants.theirs
            )
            try:
                await app.execute(
                    f"INSERT INTO {table} ({columns}) SELECT {columns} FROM jsonb_populate_record(NULL::{table}, $1)",
                    row,
                )
                refused[table] = None
            except asyncpg.PostgresError as error:
                refused[table] = error.sqlstate

    assert refused == dict.fromkeys(two_tenants.tables, "42501")


async def test_own_rows_cannot_be_given_to_another_tenant(two_tenants: TwoTenants) -> None:
    """The fence holds for the new row as well as for the old one."""
    found = await two_tenants.as_app(
        "UPDATE {table} SET tenant_id = $1 WHERE tenant_id = $2 RETURNING 1", two_tenants.theirs, two_tenants.ours
    )

    assert found == dict.fromkeys(two_tenants.tables, "42501")


async def test_a_tenant_sees_itself_alone_among_the_tenants(two_tenants: TwoTenants) -> None:
    """The names of other customers are nobody's business."""
    async with two_tenants.connected(two_tenants.platform.database.app_url, two_tenants.ours) as app:
        seen = [row["id"] for row in await app.fetch("SELECT id FROM tenants")]

    assert seen == [two_tenants.ours]


@pytest.mark.parametrize("leave_behind", ["SELECT 1", "BEGIN; SET LOCAL rustok.tenant_id = '{ours}'; COMMIT"])
async def test_a_connection_that_is_not_bound_sees_nothing(two_tenants: TwoTenants, leave_behind: str) -> None:
    """Neither a new one, nor one whose last transaction was bound: a setting that was SET LOCAL reads '' then."""
    seen = {}
    async with two_tenants.connected(two_tenants.platform.database.app_url) as app:
        await app.execute(leave_behind.format(ours=two_tenants.ours))
        for table in (*two_tenants.tables, "tenants"):
            if table != "outbox":
                seen[table] = await app.fetchval(f"SELECT count(*) FROM {table}")

    assert {table: count for table, count in seen.items() if count} == {}


async def test_the_owner_of_the_tables_sees_nothing(two_tenants: TwoTenants) -> None:
    """Migrations run as the owner, whose password lies in more places than it should."""
    seen = {}
    async with two_tenants.connected(two_tenants.platform.database.owner_url, two_tenants.ours) as owner:
        for table in (*two_tenants.tables, "tenants"):
            seen[table] = await owner.fetchval(f"SELECT count(*) FROM {table}")

    assert {table: count for table, count in seen.items() if count} == {}


async def test_the_role_system_sees_every_tenant(two_tenants: TwoTenants) -> None:
    """Relay and workers serve all of them, and join on the tenant everywhere."""
    url = two_tenants.platform.database.system_url

    assert await rows_of(two_tenants, url, two_tenants.theirs) == await rows_of(
        two_tenants, two_tenants.platform.database.admin_url, two_tenants.theirs
    )


async def test_partitions_are_reached_through_their_table_only(two_tenants: TwoTenants) -> None:
    """Policies of a partitioned table do not hold for a partition that is read by its own name."""
    async with two_tenants.connected(two_tenants.platform.database.admin_url) as admin:
        open_partitions = await admin.fetch(
            """
            SELECT relname, role FROM pg_class, unnest($1::text[]) AS role
             WHERE relispartition AND relkind = 'r'
               AND has_table_privilege(role, pg_class.oid, 'SELECT, INSERT, UPDATE, DELETE, TRUNCATE')
            """,
            [APP, SEARCH],
        )

    assert open_partitions == []


async def test_the_product_search_finds_the_rows_of_its_tenant(two_tenants: TwoTenants) -> None:
    """It belongs to a role that sees every tenant."""
    search = "SELECT count(*) FROM list_products($1, 'en', NULL, '{}', 'newest', NULL, 10)"
    async with two_tenants.connected(two_tenants.platform.database.app_url, two_tenants.ours) as app:
        assert await app.fetchval(search, two_tenants.ours) == 1


@pytest.mark.parametrize("function", SEARCHES)
@pytest.mark.parametrize(("words", "sort"), [(None, "newest"), ("bicycle", "newest"), ("bicycle", "relevance")])
@pytest.mark.parametrize("filters", ["{}", '{"tags": ["city"]}'])
async def test_a_search_refuses_another_tenant(
    two_tenants: TwoTenants, function: str, words: str | None, sort: str, filters: str
) -> None:
    """Whatever is asked: the function compares the tenant itself, before it chooses its statement."""
    search = f"SELECT count(*) FROM {function}($1, 'en', $2, $3, '{sort}', NULL, 10)"
    async with two_tenants.connected(two_tenants.platform.database.app_url, two_tenants.ours) as app:
        with pytest.raises(asyncpg.InsufficientPrivilegeError):
            await app.fetchval(search, two_tenants.theirs, words, filters)


@pytest.mark.parametrize("function", SEARCHES)
async def test_a_search_refuses_a_connection_that_is_not_bound(two_tenants: TwoTenants, function: str) -> None:
    """There is no tenant to compare with."""
    search = f"SELECT count(*) FROM {function}($1, 'en', NULL, '{{}}', 'newest', NULL, 10)"
    async with two_tenants.connected(two_tenants.platform.database.app_url) as app:
        with pytest.raises(asyncpg.InsufficientPrivilegeError):
            await app.fetchval(search, two_tenants.theirs)

        assert await app.fetchval(search, None) == 0


async def test_a_kept_plan_of_a_search_serves_each_tenant_its_own_rows(two_tenants: TwoTenants) -> None:
    """Listings are planned once a connection, which then serves one tenant after the other."""
    search = "SELECT product_id FROM list_products($1, 'en', NULL, '{}', 'newest', NULL, 10)"
    found: dict[UUID, set[UUID]] = {}
    async with two_tenants.connected(two_tenants.platform.database.app_url) as app:
        for tenant in (two_tenants.ours, two_tenants.theirs) * 10:
            await app.execute("SELECT set_config('rustok.tenant_id', $1, false)", str(tenant))
            found.setdefault(tenant, set()).update(row["product_id"] for row in await app.fetch(search, tenant))

    assert [len(products) for products in found.values()] == [1, 1]
    assert found[two_tenants.ours] != found[two_tenants.theirs]


@pytest.mark.parametrize(
    "statement",
    [
        "SELECT * FROM outbox",
        "UPDATE outbox SET payload = '{}'",
        "DELETE FROM outbox",
        "INSERT INTO event_log (position) VALUES (1)",
        "DELETE FROM event_log",
        "SELECT * FROM checkpoints",
        "UPDATE checkpoints SET position = 0",
        "SELECT * FROM log_state",
        "UPDATE parked_aggregates SET attempts = 0",
        "UPDATE index_products SET title = ''",
        "DELETE FROM index_versions",
        "SELECT sequence_outbox(1)",
        "SELECT raise_outbox_floor()",
        "SELECT extend_event_log()",
        "SELECT shorten_event_log('1 day')",
        "SELECT drop_event_log_partition('event_log_000000')",
        "TRUNCATE products",
        "CREATE TABLE loot (x int)",
        f"SET ROLE {SEARCH}",
        f"SET ROLE {SYSTEM}",
        f"SET ROLE {OWNER}",
        "ALTER TABLE products DISABLE ROW LEVEL SECURITY",
    ],
)
async def test_the_role_app_may_not(two_tenants: TwoTenants, statement: str) -> None:
    """The log, the index and the fence are out of reach of whoever takes the API over."""
    async with two_tenants.connected(two_tenants.platform.database.app_url, two_tenants.ours) as app:
        with pytest.raises(asyncpg.InsufficientPrivilegeError):
            await app.execute(statement)


async def test_nobody_logs_in_as_the_role_search(two_tenants: TwoTenants) -> None:
    """It owns functions and nothing more."""
    url = two_tenants.platform.database.app_url.replace(f"{APP}:app@", f"{SEARCH}:app@")

    with pytest.raises(asyncpg.InvalidAuthorizationSpecificationError):
        await asyncpg.connect(url)


async def test_no_role_of_the_platform_is_above_the_fence(two_tenants: TwoTenants) -> None:
    """A superuser, or a role with BYPASSRLS, would see everything."""
    async with two_tenants.connected(two_tenants.platform.database.admin_url) as admin:
        above = await admin.fetch(
            "SELECT rolname FROM pg_roles WHERE rolname LIKE 'rustok\\_%' AND (rolsuper OR rolbypassrls)"
        )

    assert above == []


async def test_functions_with_their_owners_rights_have_a_fixed_path_and_named_callers(two_tenants: TwoTenants) -> None:
    """Otherwise a caller's own schema, or anybody at all, could use the rights of the owner."""
    async with two_tenants.connected(two_tenants.platform.database.admin_url) as admin:
        loose = await admin.fetch(
            """
            SELECT proname FROM pg_proc
             WHERE prosecdef AND pronamespace = 'public'::regnamespace
               AND ('search_path=pg_catalog, public, pg_temp' = ANY (proconfig) IS NOT TRUE
                    OR proacl IS NULL OR proacl::text ~ '[{,]=X')
            """
        )

    assert loose == []
