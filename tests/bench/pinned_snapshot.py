"""A steady flow of jobs while somebody keeps an old snapshot: no dead row can be cleaned up."""

import asyncio
import time
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from typing import NamedTuple

import asyncpg

from rustok.db.engine import open_engine
from rustok.events.consumer import Consumer
from rustok.events.store import PostgresConsumerStore, PostgresSequencerStore
from rustok.jobs.store import PostgresJobStore
from tests.bench.arena import open_arena
from tests.bench.contenders import OURS
from tests.bench.figures import median, percentile
from tests.bench.peers.program import Times
from tests.bench.peers.rustok import NOOP
from tests.bench.projection import product_consumer
from tests.bench.stage import Shop, Stage, open_shop
from tests.bench.staged import stage_events
from tests.bench.table import Finding, Report, Target, shown

_A_SECOND = 800
_LOOK_EVERY_S = 0.5
_LOOK = 100
_DEAD = "SELECT n_dead_tup FROM pg_stat_user_tables WHERE relname = 'jobs'"

_METHOD = (
    f"{_A_SECOND} no-op jobs a second, 16 a transaction, for {{minutes:.2g}} min, one relay and one worker; then the "
    f"same while a REPEATABLE READ transaction is open from before. Throughput: starts a second from the first to the "
    f"last. A claim: what the relay asks PostgreSQL at each look (`ready`, {_LOOK} jobs), from this process every "
    f"{_LOOK_EVERY_S} s; the median of the last fifth beside that of the first. To start: from the commit to the start "
    f"of the job. Claims of a consumer: the product index reads a log one event a claim, {{claims:,}} times, beside "
    f"such a transaction and, in turns, without one; the last fifth of them."
)


class _Run(NamedTuple):
    """One run, from its first job to its last. `dead`: rows of the ledger that wait to be cleaned up at the end."""

    a_second: float
    to_start_ms: Sequence[float]
    claims_ms: Sequence[float]
    dead: int


def run(stage: Stage) -> Report:
    """Measure a clean run, then one beside an old snapshot."""
    return asyncio.run(_run(stage))


async def _run(stage: Stage) -> Report:
    clean, pinned = await _steady(stage, is_pinned=False), await _steady(stage, is_pinned=True)
    clean_claims, pinned_claims = await _claims_a_second(stage)
    first, last = _ends(pinned.claims_ms)
    clean_first, clean_last = _ends(clean.claims_ms)
    findings = [
        Finding("throughput", pinned.a_second, "jobs/s", clean.a_second, "without it", Target(">=", 0.97)),
        Finding("a claim, at the end", last, "ms", first, "at the beginning", Target("<=", 1.5)),
        Finding("the same without it", clean_last, "ms", clean_first, "at the beginning"),
        *(
            Finding(f"to start, {name}", of(pinned.to_start_ms), "ms", of(clean.to_start_ms), "without it")
            for name, of in (("p50", median), ("p99", lambda times: percentile(times, 0.99)))
        ),
        Finding(
            "a consumer, at the end",
            pinned_claims,
            "claims/s",
            clean_claims,
            "without it",
            Target(">=", 0.9),
        ),
    ]
    notes = [f"Rows that wait to be cleaned up at the end: {shown(pinned.dead)}, without it {shown(clean.dead)}."]
    return Report(
        "pinned_snapshot", _METHOD.format(minutes=_seconds(stage) / 60, claims=_claims(stage)), findings, notes
    )


def _seconds(stage: Stage) -> float:
    return stage.seconds(60 * stage.pinned_minutes)


def _claims(stage: Stage) -> int:
    return 4_000 if stage.quick else 20_000


async def _claims_a_second(stage: Stage) -> tuple[float, float]:
    """Return the rates of the last fifth of a consumer's claims, without an old snapshot and beside one.

    Both consumers have read the same by then, the one a fifth after the other.
    """
    fifth = _claims(stage) // 5
    async with _claimant(stage, is_pinned=False) as clean, _claimant(stage, is_pinned=True) as pinned:
        for _ in range(5):
            clean_rate, pinned_rate = await _rate(clean, fifth), await _rate(pinned, fifth)
    return clean_rate, pinned_rate


@asynccontextmanager
async def _claimant(stage: Stage, *, is_pinned: bool) -> AsyncIterator[Consumer]:
    """Yield a consumer with so many events to read, one a claim."""
    async with (
        open_shop(stage) as shop,
        _session(shop) as admin,
        _session(shop) as reader,
        open_engine(shop.database.system_url, pool_size=1) as engine,
    ):
        await stage_events(admin, _claims(stage))
        while await PostgresSequencerStore(engine).sequence(1_000):
            pass
        if is_pinned:
            await reader.execute("BEGIN ISOLATION LEVEL REPEATABLE READ")
            await reader.fetchval("SELECT count(*) FROM checkpoints")
        yield product_consumer(PostgresConsumerStore(engine), batch=1)


async def _rate(consumer: Consumer, claims: int) -> float:
    began_s = time.perf_counter()
    for _ in range(claims):
        await consumer.run_once()
    return claims / (time.perf_counter() - began_s)


async def _steady(stage: Stage, *, is_pinned: bool) -> _Run:
    count = int(_A_SECOND * _seconds(stage))
    async with open_arena(stage, OURS) as (programs, started, shop), _session(shop) as admin, _session(shop) as reader:
        with programs.working():
            programs.enqueue(0, 1)
            started.wait_for(1)
            if is_pinned:
                await reader.execute("BEGIN ISOLATION LEVEL REPEATABLE READ")
                await reader.fetchval("SELECT count(*) FROM jobs")
            flow = asyncio.create_task(asyncio.to_thread(programs.fill, 1, count, _A_SECOND))
            claims_ms = await _claims_ms(shop, flow)
            times = await flow
            await asyncio.to_thread(started.wait_for, 1 + count)
            dead = int(await admin.fetchval(_DEAD))
        started_ns = started.read()
    to_start_ms = [(started_ns[1 + place] - ns) / 1e6 for place, ns in enumerate(times.returned_ns)]
    seconds = (max(started_ns.values()) - min(started_ns[number] for number in range(1, 1 + count))) / 1e9
    return _Run((count - 1) / seconds, to_start_ms, claims_ms, dead)


@asynccontextmanager
async def _session(shop: Shop) -> AsyncIterator[asyncpg.Connection]:
    connection = await asyncpg.connect(shop.database.admin_url)
    try:
        yield connection
    finally:
        await connection.close()


async def _claims_ms(shop: Shop, flow: "asyncio.Task[Times]") -> Sequence[float]:
    """Ask for ready jobs again and again until *flow* has ended; return how long each answer took."""
    times_ms = []
    async with open_engine(shop.database.system_url, pool_size=1) as engine:
        store = PostgresJobStore(engine)
        while not flow.done():
            began_s = time.perf_counter()
            await store.ready(NOOP.queue, [], _LOOK, _LOOK)
            times_ms.append(1000 * (time.perf_counter() - began_s))
            await asyncio.wait([flow], timeout=_LOOK_EVERY_S)
    return times_ms


def _ends(values: Sequence[float]) -> tuple[float, float]:
    """Return the medians of the first and of the last fifth."""
    fifth = max(1, len(values) // 5)
    return median(values[:fifth]), median(values[-fifth:])
