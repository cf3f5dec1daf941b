"""How fast a worker's consumer turns events into documents, in batches and one by one."""

import asyncio
import time
from collections.abc import Awaitable

import asyncpg

from rustok.bootstrap import build_consumers
from rustok.catalog import MODULES
from rustok.db.engine import open_engine
from rustok.events.consumer import Consumer, ConsumerConfig
from rustok.events.store import PostgresConsumerStore
from rustok.kernel.registry import build_registry
from rustok.modules.commerce.projections import INDEX_PRODUCTS
from rustok.runtime import SystemClock
from tests.bench.catalogue import copy_products, import_file
from tests.bench.stage import Processes, Stage, open_shop
from tests.bench.staged import log_products
from tests.bench.table import Finding, Report, Target

_BATCH = 500
_THREADS = 8
_COPIES = ((1, 0), (1, 4), (5, 9))
"""Which copies of the sample each step adds; the first adds none."""

_METHOD = (
    "the platform's own consumer in one process, on real texts (the demo's records and copies of them), from a log of "
    "created products, 8 claims at a time as in a worker process: claim shards, read a batch of 500 events, lock, "
    "load from the write tables, build, upsert one row a locale, checkpoints, commit. One by one is the same with "
    "batches of 1."
)


def run(stage: Stage) -> Report:
    """Measure documents a second while the index grows to 100,000 rows."""
    return asyncio.run(_run(stage))


def product_consumer(store: PostgresConsumerStore, batch: int = _BATCH) -> Consumer:
    """Return the consumer of the product index."""
    consumers = build_consumers(build_registry(MODULES), store, SystemClock(), ConsumerConfig(batch=batch))
    return consumers[INDEX_PRODUCTS.name]


async def _run(stage: Stage) -> Report:
    async with (
        open_shop(stage) as shop,
        open_engine(shop.database.system_url, pool_size=_THREADS, pool_timeout_s=60) as engine,
    ):
        store = PostgresConsumerStore(engine)
        admin = await asyncpg.connect(shop.database.admin_url)
        with Processes(stage, shop) as processes:
            import_file(processes)
        findings = []
        for first, last in _COPIES[: 1 if stage.quick else None]:
            await copy_products(admin, shop.tenant_id, first, last, every_locale=True)
            await log_products(admin, shop.tenant_id)
            singly = await _rate(admin, _one_by_one(product_consumer(store, 1)))
            rate = await _rate(admin, drain(product_consumer(store)))
            name = f"batches of {_BATCH}, up to {await _rows(admin):,} rows"
            findings.append(Finding(name, rate, "documents/s", singly, "one by one", Target(">=", 8_000, "ours")))
        await admin.close()
    return Report("projection", _METHOD, findings)


async def drain(consumer: Consumer) -> None:
    """Let the consumer catch up with the log, several claims at a time, as the threads of a worker process do."""

    async def catch_up() -> None:
        while (await consumer.drain()).has_more:
            pass

    await asyncio.gather(*(catch_up() for _ in range(_THREADS)))


async def _one_by_one(consumer: Consumer) -> None:
    """Handle a few hundred events."""

    async def some() -> None:
        for _ in range(80):
            await consumer.run_once()

    await asyncio.gather(*(some() for _ in range(_THREADS)))


async def _rate(admin: asyncpg.Connection, work: Awaitable[None]) -> float:
    """Return how many documents a second *work* writes."""
    before = await _rows(admin)
    began_s = time.perf_counter()
    await work
    seconds = time.perf_counter() - began_s
    return (await _rows(admin) - before) / seconds


async def _rows(admin: asyncpg.Connection) -> int:
    return int(await admin.fetchval("SELECT count(*) FROM index_products"))
