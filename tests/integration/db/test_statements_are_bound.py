"""The first fence, alone: every statement of the platform is bound to a tenant by its own words.

Plans are made by a superuser, whom row level security does not bind.
"""

import ast
import re
from collections.abc import AsyncIterator
from pathlib import Path

import asyncpg
import pytest
from sqlalchemy import text

from rustok.db import pages
from rustok.db.tenant_tables import TenantTable
from rustok.index.tables import CONTENT
from rustok.modules.commerce import repository as products
from rustok.modules.content import repository as nodes
from rustok.modules.tenants import erasure
from rustok.testing import DatabaseServer
from tests.integration.db.bound_statements import BY_ID, statements_of_the_platform, unbound_tables

_ROWS = "Its rows carry the tenant of the unit of work that made them, and row level security compares it"
_IDS = "By the ids and lease tokens that the role system was given for jobs of all tenants"
_LOOKS = "The role system looks after all tenants at once"
_OPERATOR = "An operator asks, as the role system, of one tenant or of all"
OF_ALL_TENANTS = {
    "rustok.events.outbox._STAGE": _ROWS,
    "rustok.jobs.ledger._ENQUEUE": _ROWS,
    "rustok.modules.access.audit_repository._APPEND": "Each row has the tenant of its event",
    "rustok.modules.access.audit_repository._PREPARE": "Each head is of the tenant of an event",
    "rustok.modules.alloy.run_repository._BOOK": _ROWS,
    "rustok.modules.alloy.run_repository._INSERT": _ROWS,
    "rustok.modules.alloy.run_repository._INSERT_AND_FORGIVE": _ROWS,
    "rustok.modules.tenants.repository._INSERT": "It makes the tenant",
    "rustok.index.projection._CREATE_VERSIONS": "Each row has the tenant of its event",
    "rustok.index.projection._LOCK_VERSIONS": "Each row has the tenant of its event",
    "rustok.index.projection._SET_VERSIONS": "Each row has the tenant of its event",
    "rustok.index.tables.delete_other_versions": "Each row has the tenant of its event",
    "rustok.index.tables.upsert": "Each row has the tenant of its event",
    "rustok.modules.commerce.projections._LOAD": "Each source has the tenant of its event",
    "rustok.modules.content.projections._LOAD": "Each source has the tenant of its event",
    "rustok.modules.tenants.repository._ABSENCES": "The tenants are those of events",
    "rustok.modules.alloy.run_repository._DEPTHS": "Each run has the tenant of its event",
    "rustok.modules.alloy.run_repository._LISTENING": "Each script has the tenant of an event",
    "rustok.jobs.ledger._FAIL": _IDS,
    "rustok.jobs.ledger._FINISH": _IDS,
    "rustok.jobs.ledger._HAND_BACK": _IDS,
    "rustok.jobs.ledger._PARK_UNKNOWN": _IDS,
    "rustok.jobs.ledger._PUT_OFF": _IDS,
    "rustok.jobs.ledger._REPORT": _IDS,
    "rustok.jobs.store._GRANT": _IDS,
    "rustok.jobs.store._RELEASE": _IDS,
    "rustok.jobs.store._RENEW": _IDS,
    "rustok.jobs.store._STILL_READY": _IDS,
    "rustok.db.idempotency._PURGE": _LOOKS,
    "rustok.events.newer_events._GIVE_BACK": _LOOKS,
    "rustok.events.newer_events._TAKE_UP": _LOOKS,
    "rustok.events.outbox._READ_ALL": _LOOKS,
    "rustok.events.outbox._READ_SHARD": _LOOKS,
    "rustok.events.outbox._HEAD": _LOOKS,
    "rustok.events.store._BEHIND": _LOOKS,
    "rustok.events.store._DUE": _LOOKS,
    "rustok.events.store._IS_BEHIND": _LOOKS,
    "rustok.events.store._READ": _LOOKS,
    "rustok.jobs.history._PURGE": _LOOKS,
    "rustok.jobs.newer_kinds._TAKE_UP": _LOOKS,
    "rustok.jobs.schedule_store._ADVANCE": _LOOKS,
    "rustok.jobs.schedule_store._DUE": _LOOKS,
    "rustok.jobs.store._RESCUE": _LOOKS,
    "rustok.modules.access.session_repository._PURGE_SESSIONS": _LOOKS,
    "rustok.modules.alloy.run_repository._PURGE": _LOOKS,
    "rustok.modules.alloy.run_repository._PURGE_BYTECODE": _LOOKS,
    "rustok.modules.alloy.run_repository._PURGE_VALUES": _LOOKS,
    "rustok.jobs.dead_letters._COUNT": _OPERATOR,
    "rustok.jobs.dead_letters._EACH": _OPERATOR,
    "rustok.jobs.dead_letters._GROUPS": f"{_OPERATOR}; the API always names its own",
    "rustok.jobs.desk._COUNT_WAITING": _OPERATOR,
    "rustok.jobs.desk._FIND": _OPERATOR,
    "rustok.jobs.desk._LIST": _OPERATOR,
    "rustok.jobs.desk._PURGE": _OPERATOR,
    "rustok.jobs.limits._CLEAR": _OPERATOR,
    "rustok.jobs.limits._LIST": _OPERATOR,
    "rustok.jobs.pauses._LIST": _OPERATOR,
    "rustok.jobs.pauses._RESUME": _OPERATOR,
    "rustok.jobs.schedule_desk._CHOOSE": _OPERATOR,
    "rustok.jobs.schedule_desk._DISABLE": _OPERATOR,
    "rustok.jobs.schedule_desk._ENABLE": _OPERATOR,
    "rustok.jobs.schedule_desk._LIST": _OPERATOR,
    "rustok.jobs.tail._CHANGED": _OPERATOR,
    "rustok.modules.tenants.erasure._DISOWN_HEAD": "It looks for the newest event of all",
    "rustok.modules.tenants.erasure._LIST": _OPERATOR,
    "rustok.modules.tenants.repository._FIND": _OPERATOR,
    "rustok.modules.tenants.repository._LIST": _OPERATOR,
}
"""Statements that other tenants' rows are in reach of, and why."""

_PRODUCTS = TenantTable("products", has_tenant_index=True, refers_to=frozenset(), refers_to_itself_by=())
BUILT = {
    "rustok.modules.commerce.repository._update": products._update("variants", "id = :id", ["sku"], frozenset({"sku"})),
    "rustok.modules.content.repository._update": nodes._update(["author"]),
    "rustok.index.tables.upsert": CONTENT.upsert,
    "rustok.index.tables.delete_other_versions": CONTENT.delete_other_versions,
    "rustok.db.pages._statement": pages._statement(
        "SELECT id FROM products WHERE tenant_id = :tenant_id", "id", "uuid", descending=True
    ),
    "rustok.modules.tenants.erasure._any": erasure._any(_PRODUCTS),
    "rustok.modules.tenants.erasure._delete": erasure._delete(_PRODUCTS),
    "rustok.modules.tenants.erasure._delete_pages": erasure._delete_pages(_PRODUCTS),
    "rustok.modules.tenants.erasure._release": erasure._release(_PRODUCTS, "vendor"),
    "rustok.index.search._call": text("SELECT"),  # a function's own words: test_row_level_security.py
    "rustok.db.migrate._upgrade": text("SELECT"),  # of locks
}
"""One of each that is built where it is used."""

WITH_MORE_RIGHTS = {
    "authenticate_api_key": "The look-up that happens before the tenant is known; it returns one key",
    "authenticate_session": "The look-up that happens before the transaction is bound; it returns one session",
    "find_api_key": "As authenticate_api_key, which earlier releases ask",
    "event_log_bounds": "It tells where the log of all tenants begins and ends, and nothing of what is between",
    "identify_api_key": "As authenticate_api_key, which the release before asks",
    "index_behind": "It tells of versions alone, whose tenant and id the caller knows",
    "list_content": "It compares the tenant itself",
    "list_products": "It compares the tenant itself",
    "resolve_tenant": "A host or a name tells the tenant; it returns that one",
    "search_content": "It compares the tenant itself",
    "search_content_back": "It compares the tenant itself",
    "search_products": "It compares the tenant itself",
    "search_products_back": "It compares the tenant itself",
    "consumer_figures": "Metrics, of all tenants together",
    "job_figures": "Metrics, of all tenants together",
    "log_figures": "Metrics, of all tenants together",
    "needs_version_figures": "Metrics, of all tenants together",
    "undelivered_age_s": "A figure of all tenants together, by which writes are admitted",
}
"""Functions that the role app may call and that read with the rights of a role which sees all tenants, and why."""

STATEMENTS = statements_of_the_platform() | {name: statement.text for name, statement in BUILT.items()}
BOUND = sorted(
    name for name, statement in STATEMENTS.items() if ":tenant_id" in statement and name not in OF_ALL_TENANTS
)
_PREDICATE = re.compile(r"(?:\w+\.)?(?:tenant_id|id) = :tenant_id\b")
_VALUE = re.compile(r"CAST\(:tenant_id AS uuid\)|:tenant_id\b")

_ROOT = Path(__file__).parents[3]
_TABLES = """
    SELECT c.relname FROM pg_class AS c
      JOIN pg_attribute AS a ON a.attrelid = c.oid AND a.attname = 'tenant_id' AND NOT a.attisdropped
     WHERE c.relkind IN ('r', 'p') AND c.relnamespace = 'public'::regnamespace
"""


_FUNCTIONS = """
    SELECT proname FROM pg_proc
     WHERE prosecdef AND pronamespace = 'public'::regnamespace AND has_function_privilege('rustok_app', oid, 'EXECUTE')
"""


class Planner:
    """Asks one connection, as a superuser."""

    def __init__(self, connection: asyncpg.Connection, tables: frozenset[str]) -> None:
        self.connection = connection
        self._tables = tables

    async def unbound(self, statement: str) -> set[str]:
        return await unbound_tables(self.connection, statement, self._tables)


@pytest.fixture(scope="module")
async def planner(database_server: DatabaseServer) -> AsyncIterator[Planner]:
    async with database_server.throw_away() as database:
        connection = await asyncpg.connect(database.admin_url)
        tables = frozenset(
            row["relname"] for row in await connection.fetch(_TABLES)
        )  # and partitions, which are planned
        yield Planner(connection, tables | {*BY_ID})
        await connection.close()


async def test_every_statement_is_bound_to_its_tenant_or_listed(planner: Planner) -> None:
    """And what is listed has to be."""
    unbound = {name for name, statement in STATEMENTS.items() if await planner.unbound(statement)}

    assert unbound == set(OF_ALL_TENANTS)


async def test_a_statement_without_its_predicates_is_noticed(planner: Planner) -> None:
    """Of each that is bound by some."""
    stripped = {name: _PREDICATE.sub("true", STATEMENTS[name]) for name in BOUND if _PREDICATE.search(STATEMENTS[name])}

    assert len(stripped) > 80
    assert [name for name, statement in stripped.items() if not await planner.unbound(statement)] == []


async def test_a_statement_that_inserts_for_anybody_is_noticed(planner: Planner) -> None:
    """Of each that inserts for its tenant."""
    inserts = [name for name in BOUND if re.search(r"INSERT INTO \w+ \(tenant_id", STATEMENTS[name])]
    changed = {name: _VALUE.sub("gen_random_uuid()", STATEMENTS[name]) for name in inserts}

    assert len(changed) > 15
    assert [name for name, statement in changed.items() if not await planner.unbound(statement)] == []


@pytest.mark.parametrize(
    "statement",
    [
        "SELECT id FROM products",
        "SELECT id FROM products WHERE tenant_id = :tenant_id OR vendor = 'Acme'",
        "SELECT id FROM products WHERE CAST(:tenant_id AS uuid) IS NULL OR tenant_id = :tenant_id",
        "SELECT id FROM products WHERE tenant_id <> :tenant_id",
        "SELECT id FROM products WHERE tenant_id = :id AND id = :tenant_id",
        "SELECT p.id FROM products AS p JOIN variants AS v ON v.product_id = p.id WHERE v.tenant_id = :tenant_id",
        "SELECT (SELECT count(*) FROM prices) FROM products WHERE tenant_id = :tenant_id AND id = :id",
        "DELETE FROM products WHERE id = :id",
        "UPDATE products SET vendor = '' WHERE id = :id",
        "INSERT INTO bodies (tenant_id, node_id, locale, body, format) VALUES (:id, :tenant_id, '', '', '')",
    ],
)
async def test_what_is_half_bound_is_noticed(planner: Planner, statement: str) -> None:
    """One table, one branch, another column: it is not enough."""
    assert await planner.unbound(statement)


async def test_every_function_that_sees_more_than_its_caller_is_listed(planner: Planner) -> None:
    """What is in it no plan of a statement shows."""
    functions = {row["proname"] for row in await planner.connection.fetch(_FUNCTIONS)}

    assert functions == set(WITH_MORE_RIGHTS)


def test_statements_are_where_they_are_found() -> None:
    """At the top of a module of `rustok`, or built by a function that is known here."""
    built = {
        ".".join((*path.relative_to(_ROOT).with_suffix("").parts, scope.name))
        for folder in ("rustok", "api", "workers")
        for path in (_ROOT / folder).rglob("*.py")
        for scope in ast.walk(ast.parse(path.read_text()))
        if isinstance(scope, ast.FunctionDef | ast.AsyncFunctionDef) and _makes_statements(scope)
    }

    assert built == set(BUILT)


def _makes_statements(scope: ast.AST) -> bool:
    calls = (node.func for node in ast.walk(scope) if isinstance(node, ast.Call))
    return any(isinstance(call, ast.Name) and call.id == "text" for call in calls)
