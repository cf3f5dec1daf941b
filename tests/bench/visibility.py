"""How long a committed product takes to the index, and to the start of the worker that brings it there."""

import asyncio

import asyncpg

from rustok.embedded.process import free_port
from tests.bench.figures import percentile
from tests.bench.load import Plan, run_load
from tests.bench.products import PATH, product_body, request_headers
from tests.bench.stage import Processes, Shop, Stage, analyze, open_shop
from tests.bench.table import Finding, Report, Target

_METHOD = (
    "published products are POSTed to one API process while one relay and one worker run. PostgreSQL's own commit "
    "timestamps (track_commit_timestamp) of the product and of its index rows give the time to visibility; a trigger "
    "of the benchmark on index_versions notes when the worker's transaction began, which is its first statement. "
    "Sparse: one write every 0.5 s (not 2 s, to be short; the sequencer's poll has backed off to its longest, "
    "0.25 s, by then)."
)
_WATCH = """
    CREATE TABLE bench_started (aggregate_id uuid PRIMARY KEY, began_at timestamptz NOT NULL);
    GRANT INSERT ON bench_started TO rustok_system;
    CREATE FUNCTION bench_note() RETURNS trigger LANGUAGE plpgsql AS $$
        BEGIN INSERT INTO bench_started VALUES (NEW.aggregate_id, now()) ON CONFLICT DO NOTHING; RETURN NULL; END $$;
    CREATE TRIGGER bench_note AFTER INSERT ON index_versions FOR EACH ROW EXECUTE FUNCTION bench_note();
"""
_TIMES = """
    SELECT 1000 * extract(epoch FROM max(pg_xact_commit_timestamp(i.xmin)) - pg_xact_commit_timestamp(p.xmin))
               AS visible,
           1000 * extract(epoch FROM b.began_at - pg_xact_commit_timestamp(p.xmin)) AS started
      FROM products AS p
      JOIN product_translations AS t ON (t.tenant_id, t.product_id) = (p.tenant_id, p.id) AND t.locale = 'en'
      JOIN index_products AS i ON (i.tenant_id, i.product_id) = (p.tenant_id, p.id)
      JOIN bench_started AS b ON b.aggregate_id = p.id
     WHERE t.title LIKE $1
     GROUP BY p.id, p.xmin, b.began_at
"""


def run(stage: Stage) -> Report:
    """Measure sparse writes, then 200 a second."""
    return asyncio.run(_run(stage))


async def _run(stage: Stage) -> Report:
    async with open_shop(stage) as shop:
        admin = await asyncpg.connect(shop.database.admin_url)
        await admin.execute(_WATCH)
        with Processes(stage, shop) as processes:
            port = free_port()
            processes.start_relay_and_worker()
            processes.start_api(port)
            await _times(shop, port, admin, "warm", a_second=50, writes=100)
            await analyze(shop)
            sparse, started = await _times(shop, port, admin, "sparse", a_second=2, writes=10 if stage.quick else 40)
            steady, _ = await _times(shop, port, admin, "steady", a_second=200, writes=300 if stage.quick else 1600)
        await admin.close()
    median_ms, worst_ms = Target("<=", 15, "ours"), Target("<=", 60, "ours")
    return Report(
        "visibility",
        _METHOD,
        [
            Finding("commit to index, sparse, p50", percentile(sparse, 0.5), "ms", target=median_ms),
            Finding("commit to index, sparse, p99", percentile(sparse, 0.99), "ms", target=worst_ms),
            Finding("commit to index, 200 writes/s, p50", percentile(steady, 0.5), "ms", target=median_ms),
            Finding("commit to index, 200 writes/s, p99", percentile(steady, 0.99), "ms", target=worst_ms),
            Finding("commit to worker, sparse, p50", percentile(started, 0.5), "ms", target=Target("<=", 5, "ours")),
        ],
    )


async def _times(
    shop: Shop, port: int, admin: asyncpg.Connection, key: str, *, a_second: float, writes: int
) -> tuple[list[float], list[float]]:
    """Return the milliseconds from commit to visibility, and to the worker's start, of each write."""
    body = product_body("active").replace("@@", f"{key}-@@")
    headers = request_headers(shop.token, key)
    run_load(Plan(port, PATH, body, headers, clients=16, seconds=writes / a_second + 5, a_second=a_second, most=writes))
    async with asyncio.timeout(60):
        while len(rows := await admin.fetch(_TIMES, f"%{key}-%")) < writes:  # noqa: ASYNC110 - other processes work on it
            await asyncio.sleep(0.05)
    return [float(row["visible"]) for row in rows], [float(row["started"]) for row in rows]
