"""A page of product search by GraphQL beside the same page by REST."""

import asyncio
import json
from collections.abc import Mapping
from urllib.parse import urlencode

import asyncpg

from rustok.db.engine import open_engine
from rustok.embedded.process import free_port
from rustok.events.store import PostgresConsumerStore
from tests.bench.catalogue import import_file
from tests.bench.figures import median, percentile
from tests.bench.load import Plan, run_load
from tests.bench.products import SAMPLE, request_headers
from tests.bench.projection import drain, product_consumer
from tests.bench.stage import Processes, Shop, Stage, analyze, open_shop
from tests.bench.staged import log_products
from tests.bench.table import Finding, Report, Target

_QUESTIONS = {"a common word": {"locale": "en", "q": "library"}, "the newest": {"locale": "en"}}
_DOCUMENT = """
    query ($locale: String!, $q: String) {
      searchProducts(locale: $locale, q: $q) {
        edges { node {
          productId handle title vendor productType tags priceMin priceMax onSale publishedAt sourceVersion details
        } }
        pageInfo { hasNextPage hasPreviousPage startCursor endCursor }
      }
    }
"""
_METHOD = (
    "one client and one API process, the project's sample, pages of 50 hits, with API key and row level security: "
    "`GET /api/v1/search/products`, and GraphQL with all fields of a hit, which is what REST answers. Rounds "
    "alternate, medians."
)


def run(stage: Stage) -> Report:
    """Measure two questions both ways."""
    return asyncio.run(_run(stage))


async def _run(stage: Stage) -> Report:
    async with open_shop(stage) as shop:
        with Processes(stage, shop) as processes:
            import_file(processes, stage.catalogue or SAMPLE)
            await _index(shop)
            port = free_port()
            processes.start_api(port)
            findings = [_finding(stage, shop, port, name, asked) for name, asked in _QUESTIONS.items()]
    return Report("graphql", _METHOD, findings)


async def _index(shop: Shop) -> None:
    superuser = await asyncpg.connect(shop.database.admin_url)
    await log_products(superuser, shop.tenant_id)
    await superuser.close()
    async with open_engine(shop.database.system_url, pool_timeout_s=60) as engine:
        await drain(product_consumer(PostgresConsumerStore(engine)))
    await analyze(shop)


def _finding(stage: Stage, shop: Shop, port: int, name: str, asked: Mapping[str, str]) -> Finding:
    def rest_ms() -> float:
        path = f"/api/v1/search/products?{urlencode(asked)}"
        return _p50_ms(Plan(port, path, "", request_headers(shop.token), 1, stage.seconds(2), method="GET"))

    def graphql_ms() -> float:
        body = json.dumps({"query": _DOCUMENT, "variables": asked})
        return _p50_ms(Plan(port, "/api/graphql", body, request_headers(shop.token), 1, stage.seconds(2)))

    rest_ms()
    rounds = [(rest_ms(), graphql_ms()) for _ in range(stage.rounds(5))]
    peer = median(rest for rest, _ in rounds)
    ours = peer * median(graphql / rest for rest, graphql in rounds)
    return Finding(f"search of products, {name}, p50", ours, "ms", peer, "REST", Target("<=", 2))


def _p50_ms(plan: Plan) -> float:
    return percentile(run_load(plan).latencies_ms, 0.5)
