"""Search as the API asks for it, beside the same question to the write tables, and beside the index without fences."""

import asyncio
import json
import time
from collections.abc import Awaitable, Callable, Sequence
from functools import partial
from typing import Any, NamedTuple
from uuid import UUID

import asyncpg

from rustok.db.engine import open_engine
from rustok.events.store import PostgresConsumerStore
from tests.bench import joins
from tests.bench.catalogue import copy_products, import_file
from tests.bench.figures import percentile
from tests.bench.products import SAMPLE
from tests.bench.projection import drain, product_consumer
from tests.bench.stage import Processes, Shop, Stage, open_shop
from tests.bench.staged import log_products
from tests.bench.table import Finding, Report, Target

_GIVEN = "the catalogue given by --catalogue"
_REPEATED = "the project's sample, repeated with other SKUs, titles, prices and dates"
_METHOD = (
    "pages of 50 from {products:,} products ({rows:,} index rows: {catalogue}), English texts, one connection "
    "each, prepared statements, in turns of five, the JOINs apart from the others: search_products() or "
    "list_products() as the role app under row level security; the equivalent JOIN on the write tables, page "
    "first, as the same role and under the same policies, which keep it from its GIN indexes, and as a superuser,"
    " whom none keep; the same function with a superuser's rights, which no policy binds; and its statement "
    "directly on the index table as a superuser. The JOIN has stored text-search vectors with GIN indexes in each"
    " table, and indexes by date and type; all ways return the same hits and columns in the same order, which is "
    "checked. Words are planned for their values on every side, as the function does, since one plan for all "
    "words is a bad one for common ones; plans of the others are kept."
)
_FUNCTION = "SELECT * FROM {}($1, 'en', $2, $3, $4, $5, 51)"
UNFENCED = """
    DO $$ BEGIN
        EXECUTE replace(pg_get_functiondef('search_products'::regproc), 'search_products', 'unfenced_search_products');
        EXECUTE replace(pg_get_functiondef('list_products'::regproc), 'list_products', 'unfenced_list_products');
    END $$
"""
"""Makes the functions again as those of a superuser, whom no policy binds."""

_DIRECT = """
    SELECT product_id, handle, title, vendor, product_type, tags, price_min, price_max, on_sale, published_at,
           source_version, details, {key}
      FROM index_products WHERE tenant_id = $1 AND locale = 'en' AND {condition}
     ORDER BY {key} {direction}, product_id {direction} LIMIT 51
"""
Way = Callable[[], Awaitable[Sequence[asyncpg.Record]]]
_IN_A_ROW = 5
"""How often each way is asked in its turn."""

_DETAILS = 11
"""The place of the JSON document among the columns, after which stands the sort key."""


class _Shape(NamedTuple):
    """A question as the peers word it: to the index table directly, and to the write tables."""

    direct: str
    join: str
    has_words: bool = False


class _Question(NamedTuple):
    """`asked` are the function's words, filters, order and cursor; `values` the others' parameters after $1."""

    name: str
    shape: _Shape
    asked: Sequence[Any]
    values: Sequence[Any]


class _Clients(NamedTuple):
    """`api` asks as the API does; how the peers' statements are planned is set on `app` and `superuser`."""

    api: asyncpg.Connection
    app: asyncpg.Connection
    superuser: asyncpg.Connection


_QUERY = "websearch_to_tsquery('english', $2)"
_BY_WORD = _Shape(
    _DIRECT.format(condition=f"search @@ {_QUERY}", key=f"ts_rank(search, {_QUERY})", direction="DESC"),
    joins.BY_WORD,
    has_words=True,
)
_BY_DATE = _Shape(
    _DIRECT.format(condition="(published_at, product_id) < ($2, $3)", key="published_at", direction="DESC"),
    joins.BY_DATE,
)
_BY_PRICE = _Shape(
    _DIRECT.format(condition="product_type = $2 AND price_min <= $3", key="price_min", direction="ASC"),
    joins.BY_PRICE,
)


def run(stage: Stage) -> Report:
    """Measure four questions on a catalogue of the real one's size, or on the one that is given."""
    return asyncio.run(_run(stage))


async def _run(stage: Stage) -> Report:
    async with open_shop(stage) as shop:
        superuser = await asyncpg.connect(shop.database.admin_url)
        bound = {"rustok.tenant_id": str(shop.tenant_id)}
        api, app = [await asyncpg.connect(shop.database.app_url, server_settings=bound) for _ in range(2)]
        clients = _Clients(api, app, superuser)
        await _fill(stage, shop, superuser)
        products = await superuser.fetchval("SELECT count(*) FROM products")
        rows = await superuser.fetchval("SELECT count(*) FROM index_products")
        findings = []
        for question in await _questions(superuser, shop.tenant_id):
            findings += await _findings(stage, question, shop.tenant_id, clients)
        for client in clients:
            await client.close()
    catalogue = _GIVEN if stage.catalogue else _REPEATED
    return Report("search", _METHOD.format(products=products, rows=rows, catalogue=catalogue), findings)


async def _fill(stage: Stage, shop: Shop, superuser: asyncpg.Connection) -> None:
    with Processes(stage, shop) as processes:
        import_file(processes, stage.catalogue or SAMPLE)
    if not stage.quick and not stage.catalogue:
        await copy_products(superuser, shop.tenant_id, 1, 2, every_locale=True)
        await copy_products(superuser, shop.tenant_id, 3, 12, every_locale=False)
    await log_products(superuser, shop.tenant_id)
    async with open_engine(shop.database.system_url, pool_timeout_s=60) as engine:
        await drain(product_consumer(PostgresConsumerStore(engine)))
    await superuser.execute(joins.HELP)
    await superuser.execute(UNFENCED)
    for table in ("index_products", "products", "product_translations", "product_options", "variants", "prices"):
        await superuser.execute(f"VACUUM ANALYZE {table}")


async def _questions(superuser: asyncpg.Connection, tenant_id: UUID) -> list[_Question]:
    published_at, product_id = await superuser.fetchrow(
        """
        SELECT published_at, product_id FROM index_products WHERE tenant_id = $1 AND locale = 'en'
         ORDER BY published_at DESC, product_id DESC OFFSET 2000 LIMIT 1
        """,
        tenant_id,
    )
    after = json.dumps([published_at.isoformat(), str(product_id)])
    cheap_games = json.dumps({"product_type": "games", "price_to": 20_000})
    return [
        _Question("rare term", _BY_WORD, ("minesweeper", "{}", "relevance", None), ("minesweeper",)),
        _Question("common term", _BY_WORD, ("library", "{}", "relevance", None), ("library",)),
        _Question("browse, 41st page", _BY_DATE, (None, "{}", "newest", after), (published_at, product_id)),
        _Question("type and price, by price", _BY_PRICE, (None, cheap_games, "price", None), ("games", 20_000)),
    ]


async def _findings(stage: Stage, question: _Question, tenant_id: UUID, clients: _Clients) -> list[Finding]:
    function = "search_products" if question.shape.has_words else "list_products"
    ours = await clients.api.prepare(_FUNCTION.format(function))
    planned = "force_custom_plan" if question.shape.has_words else "auto"
    for client in (clients.app, clients.superuser):
        await client.execute(f"SET plan_cache_mode = {planned}")
    unfenced = await clients.api.prepare(_FUNCTION.format(f"unfenced_{function}"))
    ask = partial(ours.fetch, tenant_id, *question.asked)
    peers = [
        partial((await client.prepare(statement)).fetch, tenant_id, *question.values)
        for client, statement in (
            (clients.app, question.shape.join),
            (clients.superuser, question.shape.join),
            (clients.superuser, question.shape.direct),
        )
    ]
    # A JOIN that has read all products leaves the processor's caches cold for whoever comes next.
    beside_joins = await in_turns(stage, ask, *peers[:2])
    times_ms = await in_turns(stage, ask, partial(unfenced.fetch, tenant_id, *question.asked), peers[2])
    half, no_fence, direct = (percentile(times, 0.5) for times in times_ms)
    _, join, unfenced_join = (percentile(times, 0.5) for times in beside_joins)
    name = question.name
    return [
        Finding(f"{name}, p50", half, "ms", join, "the JOIN", Target("<=", 1 / 3)),
        Finding(f"{name}, p50", half, "ms", unfenced_join, "the JOIN, no RLS", Target("<=", 1 / 3)),
        Finding(f"{name}, p50, fence", half, "ms", no_fence, "no RLS", Target("<=", 1.2)),
        Finding(f"{name}, p50", half, "ms", direct, "the plain statement, no RLS"),
        Finding(f"{name}, p99", percentile(times_ms[0], 0.99), "ms", percentile(beside_joins[1], 0.99), "the JOIN"),
    ]


async def in_turns(stage: Stage, *ways: Way) -> list[list[float]]:
    """Return the milliseconds of each way to ask, asked in turns until the time is up.

    Raises:
        RuntimeError: they do not answer alike.

    """
    times_ms: list[list[float]] = [[] for _ in ways]
    answers = [[_hit(row) for row in await way()] for way in ways]
    if any(answer != answers[0] for answer in answers):
        raise RuntimeError("the ways to ask do not find the same")
    until_s = time.perf_counter() + stage.seconds(6)
    while time.perf_counter() < until_s or len(times_ms[0]) < 10:
        for way, times in zip(ways, times_ms, strict=True):
            for _ in range(_IN_A_ROW):
                began_s = time.perf_counter()
                await way()
                times.append(1000 * (time.perf_counter() - began_s))
    return times_ms


def _hit(row: asyncpg.Record) -> tuple[Any, ...]:
    """Return what a hit shows: without the sort key, and with its JSON read."""
    return (*row[:_DETAILS], json.loads(row[_DETAILS]))
