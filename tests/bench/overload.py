"""Five times as many clients as saturate an API process: what it does, whom it refuses, and what memory it takes."""

import asyncio
from collections.abc import Iterable

import psutil

from rustok.catalog import MODULES
from rustok.embedded.process import free_port
from rustok.testing import PlatformUnderTest
from tests.bench.figures import median, percentile
from tests.bench.load import Load, Plan, finish_load, run_load, start_load
from tests.bench.products import PATH, product_body, request_headers
from tests.bench.stage import Processes, Shop, Stage, analyze, open_shop
from tests.bench.table import Finding, Report, Target

_FEW, _SATURATING, _TIMES = 16, 64, 5
_FLOODING, _QUOTA = 160, "20/s"
_MIB = 1 << 20

_METHOD = (
    f"one API process; drafts as in write_path. The better of {_FEW} and {_SATURATING} clients, then {_TIMES} times as "
    "many as the latter, who send again as soon as they are answered, whatever the answer; a run in which anything but "
    f"2xx, 429 and 503 is answered has failed. Then {_SATURATING} clients alone, and beside {_FLOODING} of a tenant "
    f"that may send {_QUOTA}, who ask again at once. Rounds alternate, medians. Then reads of a list by "
    f"{_TIMES * _SATURATING} clients: the memory of the process (RSS) after a tenth of them, and after all."
)


def run(stage: Stage) -> Report:
    """Measure goodput beside the peak, that of neighbours beside a flood, and memory."""
    return asyncio.run(_run(stage))


async def _run(stage: Stage) -> Report:
    async with open_shop(stage) as shop:
        flooding = await _limited_tenant(shop)
        with Processes(stage, shop) as processes:
            port = free_port()
            process = psutil.Process(processes.start_api(port))
            _write(stage, shop.token, port, "warm")
            await analyze(shop)
            crowds = [
                (
                    _peak(stage, shop.token, port, f"peak{n}"),
                    _write(stage, shop.token, port, f"crowd{n}", _TIMES * _SATURATING),
                )
                for n in range(stage.rounds(5))
            ]
            floods = [
                (
                    _write(stage, shop.token, port, f"alone{n}"),
                    *_beside_a_flood(stage, shop, port, flooding, f"flood{n}"),
                )
                for n in range(stage.rounds(3))
            ]
            requests = stage.overload_requests
            _read(shop, port, requests // 10)
            before = process.memory_info().rss / _MIB
            reads = _read(shop, port, requests - requests // 10)
            after = process.memory_info().rss / _MIB
    peak = median(one.a_second for one, _ in crowds)
    alone = median(one.a_second for one, *_ in floods)
    clients = _TIMES * _SATURATING
    return Report(
        "overload",
        _METHOD,
        [
            Finding(
                f"writes of {clients} clients",
                peak * median(crowd.a_second / one.a_second for one, crowd in crowds),
                "/s",
                peak,
                f"{_FEW} or {_SATURATING} clients",
                Target(">=", 0.9),
            ),
            Finding(f"p99 of {clients} clients", percentile(_latencies(crowd for _, crowd in crowds), 0.99), "ms"),
            Finding(
                "writes beside a tenant over its quota",
                alone * median(beside.a_second / one.a_second for one, beside, _ in floods),
                "/s",
                alone,
                "without it",
                Target(">=", 0.9),
            ),
            Finding(f"memory after {requests:,} requests", after, "MiB", before, "a tenth", Target("<=", 1.05)),
        ],
        [
            f"refused of the requests of {clients} clients: {_refused(crowd for _, crowd in crowds):.1%}",
            f"refused of the requests of the tenant over its quota: {_refused(flood for *_, flood in floods):.1%}",
            f"refused of the reads: {_refused([reads]):.1%}",
        ],
    )


async def _limited_tenant(shop: Shop) -> str:
    """Create a tenant with a quota, and return its key."""
    async with PlatformUnderTest.open(MODULES, shop.database) as platform:
        tenant_id = await platform.create_tenant("flooding")
        await platform.run("tenants.quotas.set", tenant_id, request_quota=_QUOTA)
        key = await platform.run("access.api_keys.create", tenant_id, name="bench", role="owner")
        return str(key.token)


def _peak(stage: Stage, token: str, port: int, key: str) -> Load:
    loads = [_write(stage, token, port, f"{key}-{clients}", clients) for clients in (_FEW, _SATURATING)]
    return max(loads, key=lambda load: load.a_second)


def _write(stage: Stage, token: str, port: int, key: str, clients: int = _SATURATING) -> Load:
    return run_load(_writes(token, port, key, clients, stage.seconds(6)))


def _writes(token: str, port: int, key: str, clients: int, seconds: float) -> Plan:
    body = product_body().replace("@@", f"{key}-@@")
    return Plan(port, PATH, body, request_headers(token, key), clients, seconds, is_refusable=True)


def _beside_a_flood(stage: Stage, shop: Shop, port: int, flooding: str, key: str) -> tuple[Load, Load]:
    """Return what others write while a tenant floods, and what that one does."""
    flood = start_load(_writes(flooding, port, f"of-{key}", _FLOODING, stage.seconds(6)))
    beside = _write(stage, shop.token, port, key)
    return beside, finish_load(flood)


def _read(shop: Shop, port: int, requests: int) -> Load:
    path, headers = f"{PATH}?limit=1", request_headers(shop.token)
    clients = _TIMES * _SATURATING
    plan = Plan(port, path, "", headers, clients, float("inf"), method="GET", most=requests, is_refusable=True)
    return run_load(plan)


def _latencies(loads: Iterable[Load]) -> list[float]:
    return [latency for load in loads for latency in load.latencies_ms]


def _refused(loads: Iterable[Load]) -> float:
    """Return the part of all requests that was refused."""
    loads = list(loads)
    return sum(load.refused for load in loads) / sum(load.sent for load in loads)
