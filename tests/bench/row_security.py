"""What row level security costs a search: as the role app beside the same without it."""

import asyncio
from collections.abc import Sequence
from functools import partial
from typing import NamedTuple
from uuid import UUID

import asyncpg

from rustok.kernel.ids import uuid7
from tests.bench.figures import percentile
from tests.bench.search import UNFENCED, Way, in_turns
from tests.bench.stage import Shop, Stage, open_shop
from tests.bench.table import Finding, Report, Target

_ROWS = 200_000
_METHOD = (
    "pages of 50 from index_products with {rows:,} rows, half of them of another tenant, one connection, prepared, in "
    "turns of five, two ways at a time: the functions as the role app under row level security beside the same "
    "functions with a superuser's rights; and, where there are words or tags, beside the plain statement as the role "
    "app, which the policy keeps from its GIN indexes."
)
_FILL = """
    INSERT INTO index_products (tenant_id, product_id, locale, handle, title, vendor, product_type, tags, skus,
                                price_min, price_max, on_sale, published_at, details, source_version, search)
    SELECT tenant, uuidv7(), 'en', 'thing-' || n, 'Thing ' || n, 'Vendor ' || n % 100, 'type' || n % 20,
           ARRAY['tag' || n % 1000], ARRAY['SKU-' || n], n % 50000, n % 50000, n % 7 = 0,
           now() - n * interval '1 minute',
           jsonb_build_object('description', repeat('It is a thing of many. ', 20)), 1,
           to_tsvector('english', 'thing rare' || n % 10000 || ' common' || n % 100 || repeat(' of many words', 10))
      FROM unnest($1::uuid[]) AS tenant, generate_series(1, $2::integer) AS n
"""
_PLAIN = """
    SELECT product_id, handle, title, vendor, product_type, tags, price_min, price_max, on_sale, published_at,
           source_version, details, {key}
      FROM index_products WHERE tenant_id = $1 AND locale = 'en' AND {condition}
     ORDER BY {key} DESC, product_id DESC LIMIT 51
"""


class _Question(NamedTuple):
    """`asked`: words, filters and order; `key` and `condition` say the same to the index table."""

    name: str
    function: str
    asked: Sequence[str | None]
    key: str = ""
    condition: str = ""


_QUESTIONS = (
    _Question(
        "a rare word",
        "search_products",
        ("rare77", "{}", "relevance"),
        "ts_rank(search, 'rare77')",
        "search @@ 'rare77'",
    ),
    _Question(
        "a common word",
        "search_products",
        ("common7", "{}", "relevance"),
        "ts_rank(search, 'common7')",
        "search @@ 'common7'",
    ),
    _Question("a tag", "list_products", (None, '{"tags": ["tag77"]}', "newest"), "published_at", "tags @> '{tag77}'"),
    _Question("the newest", "list_products", (None, "{}", "newest")),
)


def run(stage: Stage) -> Report:
    """Measure four questions."""
    return asyncio.run(_run(stage))


async def _run(stage: Stage) -> Report:
    rows = _ROWS // 10 if stage.quick else _ROWS
    async with open_shop(stage) as shop:
        superuser = await asyncpg.connect(shop.database.admin_url)
        await superuser.execute(_FILL, [shop.tenant_id, uuid7()], rows // 2)
        await superuser.execute("VACUUM ANALYZE index_products")
        await superuser.execute(UNFENCED)
        await superuser.close()
        app = await _connect(shop)
        findings = [found for question in _QUESTIONS for found in await _findings(stage, app, shop.tenant_id, question)]
        await app.close()
    return Report("row_security", _METHOD.format(rows=rows), findings)


async def _connect(shop: Shop) -> asyncpg.Connection:
    return await asyncpg.connect(
        shop.database.app_url, server_settings={"rustok.tenant_id": str(shop.tenant_id), "jit": "off"}
    )


async def _findings(stage: Stage, app: asyncpg.Connection, tenant_id: UUID, question: _Question) -> list[Finding]:
    function = "SELECT * FROM {}($1, 'en', $2, $3, $4, NULL, 51)"
    ours, unfenced = [
        partial((await app.prepare(function.format(name))).fetch, tenant_id, *question.asked)
        for name in (question.function, f"unfenced_{question.function}")
    ]
    medians = await _medians(stage, ours, unfenced)
    findings = [Finding(f"{question.name}, p50", medians[0], "ms", medians[1], "ms, no RLS", Target("<=", 1.2))]
    if question.condition:
        statement = await app.prepare(_PLAIN.format(key=question.key, condition=question.condition))
        medians = await _medians(stage, ours, partial(statement.fetch, tenant_id))
        unit = "ms, the plain statement under RLS"
        findings.append(Finding(f"{question.name}, p50", medians[0], "ms", medians[1], unit))
    return findings


async def _medians(stage: Stage, *ways: Way) -> list[float]:
    """Measure two ways in turns. A third one, that reads all of the table, would leave cold caches to one of them."""
    return [percentile(times, 0.5) for times in await in_turns(stage, *ways)]
