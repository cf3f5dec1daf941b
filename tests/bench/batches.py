"""Products created in batches beside products created one a request, by one client."""

import asyncio
import json

from rustok.embedded.process import free_port
from tests.bench.figures import median
from tests.bench.load import Plan, run_load
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
            _single(stage, shop, port, "warm")
            await analyze(shop)
            rounds = [
                (_single(stage, shop, port, f"single{n}"), *(_batches(stage, shop, port, f"{m}{n}", m) for m in modes))
                for n in range(stage.rounds(5))
            ]
    single = median(each[0] for each in rounds)
    findings = [
        Finding(
            f"products, {_BATCH} a request, {mode}",
            single * median(each[1 + place] / each[0] for each in rounds),
            "/s",
            single,
            "one a request",
            Target(">=", 8),
        )
        for place, mode in enumerate(modes)
    ]
    return Report("batches", _METHOD, findings)


def _single(stage: Stage, shop: Shop, port: int, key: str) -> float:
    body = product_body().replace("@@", f"{key}-@@")
    return run_load(Plan(port, PATH, body, request_headers(shop.token, key), 1, stage.seconds(2))).a_second


def _batches(stage: Stage, shop: Shop, port: int, key: str, mode: str) -> float:
    """Return the products a second."""
    items = [
        {"command": "commerce.products.create", "input": json.loads(product_body().replace("@@", f"{key}-@@-{item}"))}
        for item in range(_BATCH)
    ]
    body = json.dumps({"mode": mode, "items": items})
    load = run_load(Plan(port, _PATH, body, request_headers(shop.token, key), 1, stage.seconds(2)))
    return _BATCH * load.a_second
