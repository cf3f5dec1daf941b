"""From an event that is committed to the committed effects of the script that it starts, and how many a second."""

import asyncio
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from datetime import timedelta
from typing import Any, NamedTuple

import asyncpg
import psutil
import uvloop

from rustok.catalog import MODULES
from rustok.embedded.process import free_port
from rustok.sandbox.cage import Cage, CageConfig
from rustok.testing import PlatformUnderTest
from tests.bench.figures import median, percentile
from tests.bench.load import Plan, run_load
from tests.bench.products import PATH, product_body, request_headers
from tests.bench.script_cage import runs_a_second
from tests.bench.script_hook import EVENT, compiled, job_of
from tests.bench.stage import Processes, Shop, Stage, analyze, open_shop
from tests.bench.table import Finding, Report, Target
from tests.integration.alloy.workshop import Workshop, hook

_TAGS = """
product = await ctx.get("commerce.products", event["aggregate_id"])
ctx.update("commerce.products", product["id"], tags=[*product["tags"], "seen"])
ctx.log("tagged", title=product["translations"]["en"]["title"])
"""
_READS_ITS_EVENT = 'return {"locales": sorted(event["payload"]["locales"])}'

_METHOD = (
    "products are POSTed to one API process; a script listens to commerce.product.created, reads the product and adds "
    "a tag to it. Sparse: one write every 0.5 s while one relay and one worker run. PostgreSQL's own commit timestamps "
    "(track_commit_timestamp) of the product's variant, which is written with the event, and of the product, which is "
    "written anew with the effects and the end of the run. Throughput: {events:,} products are POSTed first; then one "
    "relay and one worker start, and project them too; from the start of the first run to the commit of the last. "
    "Beside it: the hook that reads its event only, by Cage.run in this process, 8 at a time and nothing else."
)
_TIMES = """
    SELECT pg_xact_commit_timestamp(v.xmin) AS committed, pg_xact_commit_timestamp(e.xmin) AS logged,
           j.created_at AS asked, a.started_at AS began, pg_xact_commit_timestamp(p.xmin) AS done,
           CAST(a.usage ->> 'wall_ms' AS float) AS caged_ms
      FROM products AS p
      JOIN variants AS v ON (v.tenant_id, v.product_id) = (p.tenant_id, p.id)
      JOIN event_log AS e ON e.aggregate_id = p.id AND e.type = 'commerce.product.created'
      JOIN script_attempts AS a ON a.event_id = e.event_id AND a.outcome = 'succeeded'
      JOIN finished_jobs AS j ON j.id = a.run_id
     WHERE v.sku LIKE $1
"""
_ENDED = "SELECT count(*) FROM script_attempts WHERE outcome = 'succeeded'"
_BACKENDS = "SELECT pid FROM pg_stat_activity WHERE datname = current_database() AND application_name LIKE 'rustok-%'"
_RUNS_A_SECOND = """
    SELECT count(*) / extract(epoch FROM max(pg_xact_commit_timestamp(xmin)) - min(started_at)) FROM script_attempts
"""


def run(stage: Stage) -> Report:
    """Measure one run at a time, then a backlog of them."""
    return uvloop.run(_run(stage))


async def _run(stage: Stage) -> Report:
    events = 200 if stage.quick else 1000
    sparse = await _sparse(stage)
    alone = await _alone(stage)
    reading, tagging = [await _backlog(stage, body, events) for body in (_READS_ITS_EVENT, _TAGS)]
    done_ms = _ms_to("done", sparse)
    enough = Target(">=", 250, "ours")
    return Report(
        "script_path",
        _METHOD.format(events=events),
        [
            Finding("commit to effects, sparse, p50", median(done_ms), "ms", target=Target("<=", 20, "ours")),
            Finding("commit to effects, sparse, p99", percentile(done_ms, 0.99), "ms"),
            Finding("throughput, hook reads its event", reading.a_second, "runs/s", alone, "the cage alone", enough),
            Finding("throughput, hook reads and writes", tagging.a_second, "runs/s", alone, "the cage alone"),
        ],
        [
            _told(sparse),
            f"CPU time a run, hook reads its event: {reading.cpu_told}.",
            f"CPU time a run, hook reads and writes: {tagging.cpu_told}.",
        ],
    )


def _told(sparse: Sequence[Any]) -> str:
    logged, asked, began = (median(_ms_to(name, sparse)) for name in ("logged", "asked", "began"))
    caged_ms = median(row["caged_ms"] for row in sparse)
    return (
        f"Sparse, medians since the commit: the event in the log {logged:.1f} ms, its run asked for {asked:.1f} ms, "
        f"the run begun {began:.1f} ms; in the cage, without the answer to its question, {caged_ms:.1f} ms."
    )


def _ms_to(name: str, rows: Sequence[Any]) -> list[float]:
    """Return how long after the commit of its event each run came to this point."""
    return [(row[name] - row["committed"]) / timedelta(milliseconds=1) for row in rows]


async def _sparse(stage: Stage) -> Sequence[Any]:
    """Return the moments of each run."""
    async with _scripted_shop(stage, _TAGS) as (shop, admin):
        with Processes(stage, shop) as processes:
            processes.start_relay_and_worker()
            port = free_port()
            processes.start_api(port)
            _write(shop, port, "warm", 50, a_second=25)
            await _ended(admin, 50)
            writes = 10 if stage.quick else 40
            _write(shop, port, "sparse", writes, a_second=2)
            await _ended(admin, 50 + writes)
        return list(await admin.fetch(_TIMES, "%sparse-%"))


async def _alone(stage: Stage) -> float:
    async with Cage(CageConfig()) as cage:
        bytecode = await compiled(cage, hook(_READS_ITS_EVENT))
        job = job_of(bytecode, event={**EVENT, "payload": {"locales": ["en", "de"]}})
        return await runs_a_second(cage, job, 8, stage.seconds(4))


class _Drained(NamedTuple):
    """`cpu_told`: what a run took of each kind of process, its share of the projection included."""

    a_second: float
    cpu_told: str


async def _backlog(stage: Stage, body: str, events: int) -> _Drained:
    """Have a relay and a worker start, and find so many events."""
    async with _scripted_shop(stage, body) as (shop, admin):
        with Processes(stage, shop) as processes:
            port = free_port()
            processes.start_api(port)
            _write(shop, port, "backlog", events)
        await analyze(shop)
        with Processes(stage, shop) as processes:
            relay, worker = processes.start_relay_and_worker()
            first = await _ended(admin, 1)
            before_s = await _cpu_s(admin, relay, worker)
            await _ended(admin, events)
            after_s = await _cpu_s(admin, relay, worker)
        per_run_ms = {name: 1000 * (after_s[name] - before_s[name]) / (events - first) for name in after_s}
        told = ", ".join(f"{name} {spent_ms:.1f} ms" for name, spent_ms in per_run_ms.items())
        return _Drained(float(await admin.fetchval(_RUNS_A_SECOND)), told)


async def _cpu_s(admin: asyncpg.Connection, relay: int, worker: int) -> Mapping[str, float]:
    """Return what each kind of process has taken of the processors up to now."""
    launchers = psutil.Process(worker).children()
    forkers = [forker for launcher in launchers for forker in launcher.children()]
    return {
        "worker": _spent_s(worker),
        "cage": sum(_spent_s(process.pid) for process in (*launchers, *forkers)),
        "relay": _spent_s(relay),
        "PostgreSQL": sum(_spent_s(row["pid"]) for row in await admin.fetch(_BACKENDS)),
    }


def _spent_s(pid: int) -> float:
    """Return the CPU time of a process and of those of its children that have ended."""
    return float(sum(psutil.Process(pid).cpu_times()[:4]))


@asynccontextmanager
async def _scripted_shop(stage: Stage, body: str) -> AsyncIterator[tuple[Shop, asyncpg.Connection]]:
    """Open a shop with one active script that runs when a product is created."""
    async with open_shop(stage) as shop:
        async with PlatformUnderTest.open(MODULES, shop.database) as platform, Cage(CageConfig(children=1)) as cage:
            await Workshop(platform, cage, shop.tenant_id).script(body)
        admin = await asyncpg.connect(shop.database.admin_url)
        try:
            yield shop, admin
        finally:
            await admin.close()


def _write(shop: Shop, port: int, key: str, writes: int, *, a_second: float = 0.0) -> None:
    """POST so many products, as fast as 8 clients do or at a rate."""
    body = product_body().replace("@@", f"{key}-@@")
    headers = request_headers(shop.token, key)
    run_load(Plan(port, PATH, body, headers, clients=8, seconds=120, a_second=a_second, most=writes))


async def _ended(admin: asyncpg.Connection, runs: int) -> int:
    """Wait until so many runs have ended well, and return how many have."""
    async with asyncio.timeout(120):
        while (ended := await admin.fetchval(_ENDED)) < runs:  # noqa: ASYNC110 - other processes work on it
            await asyncio.sleep(0.05)
    return int(ended)
