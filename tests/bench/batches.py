"""Products created in batches beside products created one a request, by one client."""

import asyncio
import json

import asyncpg

from rustok.embedded.process import free_port
from tests.bench.figures import median
from tests.bench.load import Load, LoadFailed, Plan, run_load
from tests.bench.products import PATH, product_body, request_headers
from tests.bench.stage import Processes, Shop, Stage, analyze, open_shop
from tests.bench.table import Finding, Report, Target

_BATCH = 500
_PATH = "/api/v1/commerce:batch"

_METHOD = (
    f"one client and one API process; drafts as in write_path, with API key, row level security and Idempotency-Key. "
    f"One a request, then {_BATCH} a request, independent and atomic; rounds alternate, medians."
)


def run(stage: Stage) -> Report:
    """Measure both modes beside single writes."""
    return asyncio.run(_run(stage))


async def _run(stage: Stage) -> Report:
    modes = ("independent", "atomic")
    async with open_shop(stage) as shop:
        with Processes(stage, shop) as processes:
            port = free_port()
            processes.start_api(port)
            warm = _single(stage, shop, port, "warm")
            await analyze(shop)
            rounds = [
                (_single(stage, shop, port, f"single{n}"), *(_batches(stage, shop, port, f"{m}{n}", m) for m in modes))
                for n in range(stage.rounds(5))
            ]
        singles, batches = [warm, *(each[0] for each in rounds)], [load for each in rounds for load in each[1:]]
        await _check(shop, sum(load.answers for load in singles) + _BATCH * sum(load.answers for load in batches))
    single = median(each[0].a_second for each in rounds)
    findings = [
        Finding(
            f"products, {_BATCH} a request, {mode}",
            single * median(_BATCH * each[1 + place].a_second / each[0].a_second for each in rounds),
            "/s",
            single,
            "one a request",
            Target(">=", 8),
        )
        for place, mode in enumerate(modes)
    ]
    return Report("batches", _METHOD, findings)


async def _check(shop: Shop, products: int) -> None:
    """Raise LoadFailed where items were refused: an answer looks well all the same."""
    admin = await asyncpg.connect(shop.database.admin_url)
    count = await admin.fetchval("SELECT count(*) FROM products")
    await admin.close()
    if count != products:
        raise LoadFailed(f"{products - count} products were refused")


def _single(stage: Stage, shop: Shop, port: int, key: str) -> Load:
    body = product_body().replace("@@", f"{key}-@@")
    return run_load(Plan(port, PATH, body, request_headers(shop.token, key), 1, stage.seconds(2)))


def _batches(stage: Stage, shop: Shop, port: int, key: str, mode: str) -> Load:
    items = [
        {"command": "commerce.products.create", "input": json.loads(product_body().replace("@@", f"{key}-@@-{item}"))}
        for item in range(_BATCH)
    ]
    body = json.dumps({"mode": mode, "items": items})
    return run_load(Plan(port, _PATH, body, request_headers(shop.token, key), 1, stage.seconds(2)))
