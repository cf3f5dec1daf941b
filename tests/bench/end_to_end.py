"""From the POST to the committed index row, sustained, beside pgbench that only writes."""

import asyncio
import time

import asyncpg

from rustok.embedded.process import free_port
from tests.bench.figures import median
from tests.bench.load import Plan, run_load
from tests.bench.products import PATH, product_body, request_headers
from tests.bench.stage import Processes, Shop, Stage, analyze, open_shop
from tests.bench.table import Finding, Report, Target
from tests.bench.write_path import pgbench_writes

CLIENTS = 32
"""So many that neither side waits for a client: the rate is what the machine sustains."""

_METHOD = (
    "32 clients POST published products without a pause to one API process (key, RLS, Idempotency-Key) while one relay "
    "and one worker process run; products a second from the first POST until the index rows of the last (2 each) are "
    "committed. Each product stages 2 events; counted are products. Beside pgbench with 32 clients writing the "
    "same rows with one statement and nothing behind it; rounds alternate, medians."
)


def run(stage: Stage) -> Report:
    """Measure what the whole platform sustains."""
    return asyncio.run(_run(stage))


async def _run(stage: Stage) -> Report:
    async with open_shop(stage) as shop, open_shop(stage) as other:
        admin = await asyncpg.connect(shop.database.admin_url)
        with Processes(stage, shop) as processes:
            port = free_port()
            processes.start_relay_and_worker()
            processes.start_api(port)
            await _sustained(shop, port, admin, "warm", 1)
            await analyze(shop)
            rounds = [
                (
                    pgbench_writes(stage, other, stage.seconds(6), CLIENTS),
                    await _sustained(shop, port, admin, f"round{n}", stage.seconds(6)),
                )
                for n in range(stage.rounds(5))
            ]
        await admin.close()
    ratio = median(ours / limit for limit, ours in rounds)
    limit = median(limit for limit, _ in rounds)
    finding = Finding(
        "POST to index row", ratio * limit, "products/s", limit, "pgbench, writes only", Target(">=", 0.20)
    )
    return Report("end_to_end", _METHOD, [finding])


async def _sustained(shop: Shop, port: int, admin: asyncpg.Connection, key: str, seconds: float) -> float:
    """Return products a second, the time that the last one takes to its index rows included."""
    before = await _indexed(admin)
    body = product_body("active").replace("@@", f"{key}-@@")
    began_s = time.perf_counter()
    load = run_load(Plan(port, PATH, body, request_headers(shop.token, key), CLIENTS, seconds))
    lead_s = time.perf_counter() - began_s - load.seconds  # the client's own start
    async with asyncio.timeout(60):
        while await _indexed(admin) < before + load.answers:  # noqa: ASYNC110 - other processes work on it
            await asyncio.sleep(0.005)
    return load.answers / (time.perf_counter() - began_s - lead_s)


async def _indexed(admin: asyncpg.Connection) -> int:
    """Return how many products the projection has seen."""
    return int(await admin.fetchval("SELECT count(*) FROM index_versions WHERE version > 0"))
