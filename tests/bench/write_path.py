"""POST of a product through HTTP beside the same rows written by pgbench in one statement."""

import asyncio
from collections.abc import Mapping
from pathlib import Path

from rustok.embedded.process import free_port
from tests.bench.figures import median, percentile
from tests.bench.load import Load, Plan, run_load
from tests.bench.pgbench import Script, run_pgbench
from tests.bench.products import DESCRIPTION, PATH, product_body, request_headers
from tests.bench.rungs import RUNGS
from tests.bench.stage import Processes, Shop, Stage, analyze, open_shop
from tests.bench.table import Finding, Report, Target, shown

CLIENTS = 16

# The rows that the POST writes, as cheaply as PostgreSQL takes them: one prepared statement, one round trip, no
# row level security (a superuser), ids made by the server.
ONE_STATEMENT = Script((Path(__file__).parent / "one_statement.sql").read_text())

_METHOD = (
    "POST of a draft product (2 translations, 1 variant, 1 price, 1 outbox row) at 16 keep-alive clients and one API "
    "process, with API key, row level security, Idempotency-Key and the access log on; beside pgbench with 16 clients "
    "writing the same rows and the outbox row as one prepared CTE statement, as a superuser. Every commit is flushed; "
    "rounds alternate, medians."
)


def run(stage: Stage) -> Report:
    """Measure the ratio, then where the time of a request goes."""
    return asyncio.run(_run(stage))


def pgbench_writes(stage: Stage, shop: Shop, seconds: float, clients: int = CLIENTS) -> float:
    """Return the writes a second of pgbench with one statement each."""
    return run_pgbench(
        stage,
        shop.database.admin_url,
        ONE_STATEMENT,
        clients=clients,
        seconds=seconds,
        variables=script_variables(shop),
    )


def script_variables(shop: Shop) -> Mapping[str, object]:
    """Return what `one_statement.sql` wants to know."""
    return {"tenant": shop.tenant_id, "description": DESCRIPTION}


async def _run(stage: Stage) -> Report:
    async with open_shop(stage) as shop:
        with Processes(stage, shop) as processes:
            port = free_port()
            processes.start_api(port)
            post(shop, port, "warm", 1)
            await analyze(shop)
            rounds = [
                (pgbench_writes(stage, shop, stage.seconds(3)), post(shop, port, f"round{n}", stage.seconds(3)))
                for n in range(stage.rounds(5))
            ]
        layers = _layers(stage, shop)
    latencies = [latency for _, load in rounds for latency in load.latencies_ms]
    ratio = median(load.a_second / limit for limit, load in rounds)
    ours = median(load.a_second for _, load in rounds)
    findings = [
        Finding("POST, 16 clients", ours, "/s", ours / ratio, "pgbench, one statement", Target(">=", 0.12)),
        Finding("POST, 16 clients, p99", percentile(latencies, 0.99), "ms"),
    ]
    return Report("write_path", _METHOD, findings, layers)


def post(shop: Shop, port: int, key: str, seconds: float, clients: int = CLIENTS) -> Load:
    """Post products whose numbers nobody else uses: *key* is part of their texts."""
    body = product_body().replace("@@", f"{key}-@@")
    return run_load(Plan(port, PATH, body, request_headers(shop.token, key), clients, seconds))


def _layers(stage: Stage, shop: Shop) -> list[str]:
    """Measure a ladder of applications, each with one layer more; a layer costs what its rung adds.

    One client asks: of many, those layers that are in the transaction share one, the larger the slower it is.
    """
    times_us: dict[str, list[float]] = {rung.name: [] for rung in RUNGS}
    with Processes(stage, shop) as processes:
        ports = {rung.name: free_port() for rung in RUNGS}
        for rung in RUNGS:
            processes.start_api(ports[rung.name], "tests.bench.rungs:create_app", RUSTOK_BENCH_RUNG=rung.name)
        for n in range(stage.rounds(3)):
            for rung in RUNGS:
                load = post(shop, ports[rung.name], f"{rung.name.replace(' ', '-')}{n}", stage.seconds(1.6), 1)
                times_us[rung.name].append(1e6 / load.a_second)
    lines = ["where the time of a POST goes (us, one client; each rung adds one layer, rounds alternate):"]
    below = 0.0
    for rung in RUNGS:
        here = median(times_us[rung.name])
        lines.append(f"{rung.name:<14} {shown(here):>6} in all, {here - below:+6.0f}  {rung.adds}")
        below = here
    return lines
