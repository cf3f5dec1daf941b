"""What it costs that tenants can follow their events: the index to those who fill the log, a page to those who read."""

import asyncio
import time
from collections.abc import Awaitable, Callable
from contextlib import AsyncExitStack
from typing import Any
from uuid import UUID

import asyncpg

from rustok.catalog import MODULES
from rustok.db.engine import open_engine
from rustok.events.store import PostgresSequencerStore
from rustok.testing import PlatformUnderTest
from tests.bench.figures import median
from tests.bench.stage import Shop, Stage, analyze, open_shop
from tests.bench.staged import STAGED_TENANT, stage_events
from tests.bench.table import Finding, Report, Target

_ROUND = 20_000
_BATCH = 1000
_PAGES = 50
_SIZE = """
    SELECT sum(pg_relation_size(indexrelid)) / (SELECT count(*) FROM event_log) FROM pg_index
     WHERE indexrelid::regclass::text LIKE 'event_log_%_tenant_id_position_idx'
"""

_METHOD = (
    f"{_ROUND:,} staged events sequenced in batches of {_BATCH:,} on one connection, in turns with the same on a twin "
    f"without the index of tenants; medians of the ratios of the turns. Then the query of `GET /api/v1/events` in one "
    f"process, {_PAGES} times each in turns: the first page of a tenant with two events, and that of the one who has "
    f"all others (100 a page)."
)


def run(stage: Stage) -> Report:
    """Measure the sequencer with and without the index, then pages of two tenants."""
    return asyncio.run(_run(stage))


async def _run(stage: Stage) -> Report:
    async with AsyncExitStack() as stack:
        ours, twin = [await stack.enter_async_context(open_shop(stage)) for _ in range(2)]
        await _execute(twin, "DROP INDEX event_log_tenant")
        pairs = [(await _sequenced(ours), await _sequenced(twin)) for _ in range(stage.rounds(15))]
        size = await _execute(ours, _SIZE)
        await analyze(ours)
        few, many = await _pages(ours)
    with_it = median(ours for ours, _ in pairs)
    ratio = median(ours / without for ours, without in pairs)
    return Report(
        "follow_events",
        _METHOD,
        [
            Finding(
                "events into the log", with_it, "events/s", with_it / ratio, "without the index", Target(">=", 0.9)
            ),
            Finding("the index, an event", float(size), "bytes"),
            Finding("first page of two events", 1000 * few, "ms", 1000 * many, "of 100 events", Target("<=", 1.0)),
        ],
    )


async def _execute(shop: Shop, statement: str) -> Any:
    admin = await asyncpg.connect(shop.database.admin_url)
    try:
        return await admin.fetchval(statement)
    finally:
        await admin.close()


async def _sequenced(shop: Shop) -> float:
    """Return events a second, from the outbox into the log."""
    admin = await asyncpg.connect(shop.database.admin_url)
    try:
        await stage_events(admin, _ROUND)
    finally:
        await admin.close()
    async with open_engine(shop.database.system_url) as engine:
        store = PostgresSequencerStore(engine)
        await store.raise_floor()
        began_s = time.perf_counter()
        while await store.sequence(_BATCH):
            pass
        return _ROUND / (time.perf_counter() - began_s)


async def _pages(shop: Shop) -> tuple[float, float]:
    """Return the seconds that a page takes: of the tenant with few events, and of the one with nearly all."""
    async with PlatformUnderTest.open(MODULES, shop.database) as platform:

        def first_page(tenant_id: UUID) -> Callable[[], Awaitable[object]]:
            return lambda: platform.query("outbox.events.list", tenant_id, limit="100")

        few, many = first_page(shop.tenant_id), first_page(STAGED_TENANT)
        times = [(await _timed(few), await _timed(many)) for _ in range(_PAGES)]
    return median(a for a, _ in times), median(b for _, b in times)


async def _timed(work: Callable[[], Awaitable[object]]) -> float:
    began_s = time.perf_counter()
    await work()
    return time.perf_counter() - began_s
