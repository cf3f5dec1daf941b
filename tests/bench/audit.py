"""How fast the audit log grows, in batches and one by one, and how fast its chain is verified."""

import asyncio
import time
from collections.abc import Awaitable
from uuid import UUID

import asyncpg
from sqlalchemy.ext.asyncio import AsyncEngine

from rustok.bootstrap import build_consumers
from rustok.catalog import MODULES
from rustok.db.engine import open_engine
from rustok.events.consumer import Consumer, ConsumerConfig
from rustok.events.store import PostgresConsumerStore
from rustok.kernel.registry import build_registry
from rustok.modules.access import verify_audit
from rustok.modules.access.audit_chain import AuditRow
from rustok.modules.access.audit_repository import read_rows
from rustok.runtime import SystemClock
from tests.bench.figures import median
from tests.bench.load import LoadFailed
from tests.bench.stage import Stage, analyze, open_shop
from tests.bench.table import Finding, Report

_BATCH = 500
_SINGLY = 300
_EVENTS = 40_000
_PAGE = 1_000
_METHOD = (
    "the platform's own consumer in one process, one claim at a time, from a log of created keys of one tenant, each "
    f"commit flushed to disk: {_SINGLY} events with batches of 1, then the others in batches of {_BATCH}. Then the "
    f"chain is verified, and its rows are read by pages of the same {_PAGE:,} without a look at them, in turns."
)
_LOG_KEYS = """
    INSERT INTO event_log (position, shard, event_id, type, schema_version, tenant_id, aggregate_type, aggregate_id,
                           aggregate_version, correlation_id, causation_id, actor, occurred_at, payload)
    SELECT (SELECT coalesce(max(position), 0) FROM event_log) + n, n % 16, uuidv7(), 'access.api_key.created', 1, $1,
           'api_key', uuidv7(), 1, uuidv7(), uuidv7(), 'bench:1', now(),
           '{"key_id": "5f1d9c2ab4e07733", "role": "manager"}'
      FROM generate_series(1, CAST($2 AS integer)) AS n
"""


def run(stage: Stage) -> Report:
    """Measure rows a second, appended and verified."""
    return asyncio.run(_run(stage))


async def _run(stage: Stage) -> Report:
    events = _EVENTS // 10 if stage.quick else _EVENTS
    async with open_shop(stage) as shop, open_engine(shop.database.system_url) as engine:
        admin = await asyncpg.connect(shop.database.admin_url)
        store = PostgresConsumerStore(engine)
        await admin.execute(_LOG_KEYS, shop.tenant_id, _SINGLY)
        singly = _SINGLY / await _seconds(_drain(_consumer(store, 1)))
        await admin.execute(_LOG_KEYS, shop.tenant_id, events)
        batched = events / await _seconds(_drain(_consumer(store, _BATCH)))
        await admin.close()
        await analyze(shop)
        rows = _SINGLY + events
        turns = [
            (await _seconds(_verify(engine, shop.tenant_id, rows)), await _seconds(_read(engine, shop.tenant_id)))
            for _ in range(stage.rounds(5))
        ]
    verified, read = (rows / median(seconds) for seconds in zip(*turns, strict=True))
    findings = [
        Finding(f"appended in batches of {_BATCH}", batched, "events/s", singly, "one by one"),
        Finding(f"{rows:,} rows verified", verified, "rows/s", read, "read alone"),
    ]
    return Report("audit", _METHOD, findings)


def _consumer(store: PostgresConsumerStore, batch: int) -> Consumer:
    consumers = build_consumers(build_registry(MODULES), store, SystemClock(), ConsumerConfig(batch=batch))
    return consumers["access.audit"]


async def _drain(consumer: Consumer) -> None:
    while (await consumer.drain()).has_more:
        pass


async def _verify(engine: AsyncEngine, tenant_id: UUID, rows: int) -> None:
    """Raise LoadFailed where the chain is not whole: then other figures were measured than those that are told."""
    verdict = await verify_audit(engine, tenant_id)
    if verdict.fault is not None or verdict.good < rows:
        raise LoadFailed(f"{verdict.good} of {rows} rows are good: {verdict.fault}")


async def _read(engine: AsyncEngine, tenant_id: UUID) -> None:
    last: AuditRow | None = None
    while page := await read_rows(engine, tenant_id, last, _PAGE):
        last = page[-1]


async def _seconds(work: Awaitable[None]) -> float:
    began_s = time.perf_counter()
    await work
    return time.perf_counter() - began_s
