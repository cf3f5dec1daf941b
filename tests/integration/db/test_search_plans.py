"""How PostgreSQL answers a search: inside its function, asked as the role app under row level security."""

import json
from collections.abc import AsyncIterator, Iterator, Sequence
from typing import Any
from uuid import UUID

import asyncpg
import pytest

from rustok.kernel.ids import uuid7
from rustok.testing import DatabaseServer
from tests.integration.db.two_tenants import asyncpg_connection

OURS, THEIRS = uuid7(), uuid7()
_TELL_PLANS = {
    "session_preload_libraries": "auto_explain",
    "auto_explain.log_min_duration": "0",
    "auto_explain.log_nested_statements": "on",
    "auto_explain.log_format": "json",
    "auto_explain.log_level": "notice",
}
"""Has each session tell its client the plan of every statement, also of those inside functions."""
_ROWS = """
    INSERT INTO {table} (tenant_id, {key}, locale, title, tags, published_at, details, source_version, search,
                         {columns})
    SELECT tenant, gen_random_uuid(), 'en', 'Thing ' || n, ARRAY['tag' || n % 500], now(), '{{}}', 1,
           to_tsvector('english', 'thing number' || n), {values}
      FROM unnest($1::uuid[]) AS tenant, generate_series(1, 4000) AS n
"""
_PRODUCTS = _ROWS.format(
    table="index_products",
    key="product_id",
    columns="handle, vendor, skus, on_sale",
    values="'thing-' || n, 'Acme', '{}', false",
)
_CONTENT = _ROWS.format(
    table="index_content",
    key="node_id",
    columns="kind, slug, excerpt, position",
    values="'page', 'thing-' || n, '', n",
)


@pytest.fixture(scope="module")
async def app(database_server: DatabaseServer) -> AsyncIterator[asyncpg.Connection]:
    """The role app, bound to one of two tenants that have much to search in; it is told every plan."""
    async with database_server.throw_away() as database:
        async with asyncpg_connection(database.admin_url) as admin:
            for rows in (_PRODUCTS, _CONTENT):
                await admin.execute(rows, [OURS, THEIRS])
            # As autovacuum leaves them, sooner or later: plans differ before and after it.
            await admin.execute("VACUUM (ANALYZE) index_products, index_content")
            for name, value in _TELL_PLANS.items():
                await admin.execute(f"ALTER DATABASE {database.name} SET {name} = '{value}'")
        async with asyncpg_connection(database.app_url) as app:
            await app.execute("SELECT set_config('rustok.tenant_id', $1, false)", str(OURS))
            yield app


@pytest.mark.parametrize("kind", ["products", "content"])
@pytest.mark.parametrize(
    ("function", "asked", "index"),
    [
        ("search", ("number77", "{}", "relevance"), "search"),
        ("search", ("number77", "{}", "newest"), "search"),
        ("search", ("number77", '{"tags": ["tag77"]}', "newest"), "search"),
        ("list", (None, '{"tags": ["tag77"]}', "newest"), "tags"),
    ],
)
async def test_a_search_uses_its_gin_index(
    app: asyncpg.Connection, kind: str, function: str, asked: Sequence[str | None], index: str
) -> None:
    """The operators `@@` and `@>` are not leakproof: only a role whose policy is `true` may use them on an index."""
    search = f"SELECT * FROM {function}_{kind}($1, 'en', $2, $3, $4, NULL, 51)"

    assert await indexes_used(app, search, OURS, *asked) == {f"index_{kind}_{index}"}


@pytest.mark.parametrize("condition", ["search @@ to_tsquery('english', 'number77')", "tags @> '{tag77}'"])
async def test_the_same_words_outside_the_functions_use_none(app: asyncpg.Connection, condition: str) -> None:
    """The role app's own statement is answered by the policy first. So the test above would notice a lost function."""
    used = await indexes_used(app, f"SELECT * FROM index_products WHERE tenant_id = $1 AND {condition}", OURS)

    assert not used & {"index_products_search", "index_products_tags"}


async def indexes_used(app: asyncpg.Connection, statement: str, tenant: UUID, *asked: str | None) -> set[str]:
    """Return the indexes that *statement*, and those within it, were answered by; it finds something."""
    told: list[str] = []

    def listen(_connection: object, notice: Any) -> None:
        told.append(notice.message)

    app.add_log_listener(listen)
    try:
        assert await app.fetch(statement, tenant, *asked)
    finally:
        app.remove_log_listener(listen)
    plans = [json.loads(message.partition("plan:")[2])["Plan"] for message in told]
    return {name for plan in plans for name in _indexes(plan)}


def _indexes(node: dict[str, Any]) -> Iterator[str]:
    if "Index Name" in node:
        yield node["Index Name"]
    for child in node.get("Plans", ()):
        yield from _indexes(child)
