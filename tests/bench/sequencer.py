"""How fast committed events get their place in the log, and what the outbox costs those who commit."""

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import asyncpg

from rustok.db.engine import open_engine
from rustok.events.sequencer import SequencerConfig
from rustok.events.store import PostgresSequencerStore
from tests.bench.figures import median
from tests.bench.pgbench import Script, run_pgbench
from tests.bench.stage import Processes, Shop, Stage, analyze, open_shop
from tests.bench.staged import stage_events
from tests.bench.table import Finding, Report, Target
from tests.bench.write_path import ONE_STATEMENT, pgbench_writes, script_variables

_BATCHES = (100, 500, 1000, 2000)
_RELAY_BATCH = 1000
_FLOOR_INTERVAL_S = SequencerConfig().floor_interval_s

WITHOUT_OUTBOX = Script(ONE_STATEMENT.text.partition("), outbox AS (")[0] + ")\nSELECT;")

_METHOD = (
    "sequence_outbox called in turns with four batch sizes on one connection by the relay's own store, until what was "
    "staged is in the log; then in batches of 1,000 with a REPEATABLE READ transaction open from before, while the "
    "floor is raised as often as a relay does: the last fifth of the rounds beside the first. Commit rate: pgbench, "
    "one statement with the outbox row beside the same without, in turns; with the sequencer: the same while a relay "
    "process runs."
)


def run(stage: Stage) -> Report:
    """Measure the sequencer alone, under a pinned snapshot, and what it costs the writers."""
    return asyncio.run(_run(stage))


async def _run(stage: Stage) -> Report:
    async with open_shop(stage) as shop, _connected(shop) as (store, admin):
        rates = await _rates(stage, store, admin)
        first, last = await _pinned(stage, shop, store, admin)
    findings = [
        *(
            Finding(f"batches of {size}", rate, "events/s", target=Target(">=", 15_000, "ours"))
            for size, rate in rates.items()
        ),
        Finding("snapshot pinned, at its end", last, "events/s", first, "at its beginning", Target(">=", 0.8)),
        Finding("the same, events/s", last, "events/s", target=Target(">=", 15_000, "ours")),
    ]
    async with open_shop(stage) as shop:
        pgbench_writes(stage, shop, 1)
        await analyze(shop)
        findings += _commit_rates(stage, shop, "outbox row alone", Target(">=", 0.85))
        with Processes(stage, shop) as processes:
            processes.start("-m", "workers.relay")
            findings += _commit_rates(stage, shop, "relay running", Target(">=", 0.75))
    return Report("sequencer", _METHOD, findings)


@asynccontextmanager
async def _connected(shop: Shop) -> AsyncIterator[tuple[PostgresSequencerStore, asyncpg.Connection]]:
    admin = await asyncpg.connect(shop.database.admin_url)
    try:
        async with open_engine(shop.database.system_url) as engine:
            yield PostgresSequencerStore(engine), admin
    finally:
        await admin.close()


async def _rates(stage: Stage, store: PostgresSequencerStore, admin: asyncpg.Connection) -> dict[int, float]:
    found: dict[int, list[float]] = {size: [] for size in _BATCHES}
    for _ in range(stage.rounds(3)):
        for size in _BATCHES:
            await stage_events(admin, 20_000)
            await store.raise_floor()
            found[size].append(await _drain(store, size))
    return {size: median(rates) for size, rates in found.items()}


async def _drain(store: PostgresSequencerStore, size: int) -> float:
    """Return events a second, until nothing is left."""
    began_s, events = time.perf_counter(), 0
    while batch := await store.sequence(size):
        events += batch.events
    return events / (time.perf_counter() - began_s)


async def _pinned(
    stage: Stage, shop: Shop, store: PostgresSequencerStore, admin: asyncpg.Connection
) -> tuple[float, float]:
    """Return events a second in the first and the last fifth of many rounds under an old snapshot."""
    reader = await asyncpg.connect(shop.database.admin_url)
    try:
        await reader.execute("BEGIN ISOLATION LEVEL REPEATABLE READ")
        await reader.fetchval("SELECT count(*) FROM products")
        rates = []
        floor_due_s = time.perf_counter()
        for _ in range(10 if stage.quick else 30):
            await stage_events(admin, 10_000)
            if time.perf_counter() >= floor_due_s:
                await store.raise_floor()
                floor_due_s = time.perf_counter() + _FLOOR_INTERVAL_S
            rates.append(await _drain(store, _RELAY_BATCH))
    finally:
        await reader.close()
    fifth = len(rates) // 5
    return median(rates[:fifth]), median(rates[-fifth:])


def _commit_rates(stage: Stage, shop: Shop, name: str, target: Target) -> list[Finding]:
    return [_commit_rate(stage, shop, f"commits, {clients} clients, {name}", clients, target) for clients in (16, 64)]


def _commit_rate(stage: Stage, shop: Shop, name: str, clients: int, target: Target) -> Finding:
    """Compare transactions with and without the outbox row, in turns."""

    def rate(script: Script) -> float:
        return run_pgbench(
            stage,
            shop.database.admin_url,
            script,
            clients=clients,
            seconds=stage.seconds(2),
            variables=script_variables(shop),
        )

    pairs = [(rate(ONE_STATEMENT), rate(WITHOUT_OUTBOX)) for _ in range(stage.rounds(7))]
    ratio = median(with_it / without for with_it, without in pairs)
    without = median(without for _, without in pairs)
    return Finding(name, ratio * without, "/s", without, "without outbox", target)
