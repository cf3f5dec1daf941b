"""Search as the API asks for it, beside the same question to the write tables, and beside the index without fences."""

import asyncio
import json
import time
from collections.abc import Awaitable, Callable, Sequence
from typing import Any, NamedTuple
from uuid import UUID

import asyncpg

from rustok.db.engine import open_engine
from rustok.events.store import PostgresConsumerStore
from tests.bench.catalogue import copy_products, import_file
from tests.bench.figures import percentile
from tests.bench.projection import drain, product_consumer
from tests.bench.stage import Processes, Shop, Stage, open_shop
from tests.bench.staged import log_products
from tests.bench.table import Finding, Report, Target

_METHOD = (
    "pages of 50 from {products:,} products ({rows:,} index rows: the project's sample, repeated with other SKUs, "
    "titles, prices and dates up to the size of the whole catalogue), English texts, one connection, prepared "
    "statements, in turns: search_products() as the role app under row level security; the equivalent JOIN on the "
    "write tables as a superuser, which is given a stored text-search vector with a GIN index and indexes by date and "
    "type; and the same query directly on the index table as a superuser."
)
_FUNCTION = "SELECT * FROM search_products($1, 'en', $2, $3, $4, $5, 51)"
_DIRECT = """
    SELECT product_id, handle, title, vendor, product_type, tags, price_min, price_max, on_sale, published_at,
           source_version, details, jsonb_build_array({key}, product_id)
      FROM index_products AS i WHERE tenant_id = $1 AND locale = 'en' AND {condition}
     ORDER BY {key} {direction}, product_id {direction} LIMIT 51
"""
# What a shop without an index table would do about search: a stored vector, an index by date.
_HELP_THE_JOIN = """
    ALTER TABLE product_translations ADD COLUMN search tsvector
        GENERATED ALWAYS AS (to_tsvector('english', title || ' ' || description)) STORED;
    CREATE INDEX ON product_translations USING gin (search);
    CREATE INDEX ON products (tenant_id, published_at DESC, id DESC) WHERE status = 'active';
    CREATE INDEX ON products (tenant_id, product_type);
"""
_JOIN = """
    SELECT p.id, t.handle, t.title, p.vendor, p.product_type, p.tags, price.min, price.max, price.on_sale,
           p.published_at, p.version, t.description, p.rich_description, p.seo, {key}
      FROM products AS p
      JOIN product_translations AS t ON (t.tenant_id, t.product_id) = (p.tenant_id, p.id) AND t.locale = 'en'
     CROSS JOIN LATERAL (
           SELECT min(c.amount) AS min, max(c.amount) AS max, bool_or(c.compare_at > c.amount) AS on_sale
             FROM variants AS v JOIN prices AS c ON (c.tenant_id, c.variant_id) = (v.tenant_id, v.id)
            WHERE (v.tenant_id, v.product_id) = (p.tenant_id, p.id) AND c.currency = 'EUR') AS price
     WHERE p.tenant_id = $1 AND p.status = 'active' AND {condition}
     ORDER BY {key} {direction}, p.id {direction} LIMIT 51
"""


class _Shape(NamedTuple):
    """A question as each side words it. `direct` and `join` are a condition and what is sorted by."""

    direct: tuple[str, str]
    join: tuple[str, str]
    direction: str


class _Question(NamedTuple):
    """`asked` are the function's words, filters, order and cursor; `values` the others' parameters after $1."""

    name: str
    shape: _Shape
    asked: Sequence[Any]
    values: Sequence[Any]


_QUERY = "websearch_to_tsquery('english', $2)"
_BY_WORDS = _Shape(
    (f"i.search @@ {_QUERY}", f"ts_rank(i.search, {_QUERY})"),
    (f"t.search @@ {_QUERY}", f"ts_rank(t.search, {_QUERY})"),
    "DESC",
)
_BY_DATE = _Shape(
    ("(published_at, product_id) < ($2, $3)", "published_at"),
    ("(p.published_at, p.id) < ($2, $3)", "p.published_at"),
    "DESC",
)
_BY_PRICE = _Shape(
    ("product_type = $2 AND price_min <= $3", "price_min"),
    ("p.product_type = $2 AND price.min <= $3", "price.min"),
    "ASC",
)


def run(stage: Stage) -> Report:
    """Measure four questions on a catalogue of the real one's size."""
    return asyncio.run(_run(stage))


async def _run(stage: Stage) -> Report:
    async with open_shop(stage) as shop:
        admin = await asyncpg.connect(shop.database.admin_url)
        app = await asyncpg.connect(shop.database.app_url, server_settings={"rustok.tenant_id": str(shop.tenant_id)})
        await _fill(stage, shop, admin)
        products = await admin.fetchval("SELECT count(*) FROM products")
        rows = await admin.fetchval("SELECT count(*) FROM index_products")
        findings = []
        for question in await _questions(admin, shop.tenant_id):
            findings += await _findings(stage, question, shop.tenant_id, app, admin)
        await app.close()
        await admin.close()
    return Report("search", _METHOD.format(products=products, rows=rows), findings)


async def _fill(stage: Stage, shop: Shop, admin: asyncpg.Connection) -> None:
    with Processes(stage, shop) as processes:
        import_file(processes)
    if not stage.quick:
        await copy_products(admin, shop.tenant_id, 1, 2, every_locale=True)
        await copy_products(admin, shop.tenant_id, 3, 12, every_locale=False)
    await log_products(admin, shop.tenant_id)
    async with open_engine(shop.database.system_url, pool_timeout_s=60) as engine:
        await drain(product_consumer(PostgresConsumerStore(engine)))
    await admin.execute(_HELP_THE_JOIN)
    for table in ("index_products", "products", "product_translations", "variants", "prices"):
        await admin.execute(f"VACUUM ANALYZE {table}")


async def _questions(admin: asyncpg.Connection, tenant_id: UUID) -> list[_Question]:
    published_at, product_id = await admin.fetchrow(
        """
        SELECT published_at, product_id FROM index_products WHERE tenant_id = $1 AND locale = 'en'
         ORDER BY published_at DESC, product_id DESC OFFSET 2000 LIMIT 1
        """,
        tenant_id,
    )
    after = json.dumps([published_at.isoformat(), str(product_id)])
    cheap_games = json.dumps({"product_type": "games", "price_to": 20_000})
    return [
        _Question("rare term", _BY_WORDS, ("minesweeper", "{}", "relevance", None), ("minesweeper",)),
        _Question("common term", _BY_WORDS, ("library", "{}", "relevance", None), ("library",)),
        _Question("browse, 41st page", _BY_DATE, (None, "{}", "newest", after), (published_at, product_id)),
        _Question("type and price, by price", _BY_PRICE, (None, cheap_games, "price", None), ("games", 20_000)),
    ]


async def _findings(
    stage: Stage, question: _Question, tenant_id: UUID, app: asyncpg.Connection, admin: asyncpg.Connection
) -> list[Finding]:
    direct_condition, direct_key = question.shape.direct
    join_condition, join_key = question.shape.join
    direction = question.shape.direction
    direct_sql = _DIRECT.format(condition=direct_condition, key=direct_key, direction=direction)
    join_sql = _JOIN.format(condition=join_condition, key=join_key, direction=direction)
    ours, direct, join = await _in_turns(
        stage,
        lambda: app.fetch(_FUNCTION, tenant_id, *question.asked),
        lambda: admin.fetch(direct_sql, tenant_id, *question.values),
        lambda: admin.fetch(join_sql, tenant_id, *question.values),
    )
    name, half = question.name, percentile(ours, 0.5)
    return [
        Finding(f"{name}, p50", half, "ms", percentile(join, 0.5), "the JOIN", Target("<=", 1 / 3)),
        Finding(f"{name}, p50, fence", half, "ms", percentile(direct, 0.5), "no RLS", Target("<=", 1.2)),
        Finding(f"{name}, p99", percentile(ours, 0.99), "ms", percentile(join, 0.99), "the JOIN"),
    ]


async def _in_turns(stage: Stage, *ways: Callable[[], Awaitable[Any]]) -> list[list[float]]:
    """Return the milliseconds of each way to ask, asked in turns until the time is up."""
    times_ms: list[list[float]] = [[] for _ in ways]
    for way in ways:
        await way()
    until_s = time.perf_counter() + stage.seconds(6)
    while time.perf_counter() < until_s or len(times_ms[0]) < 10:
        for way, times in zip(ways, times_ms, strict=True):
            began_s = time.perf_counter()
            await way()
            times.append(1000 * (time.perf_counter() - began_s))
    return times_ms
