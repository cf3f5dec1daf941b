"""What the typed client costs: the same calls by it and by the HTTP library below it."""

import asyncio
import json
import time
from collections.abc import Awaitable, Callable, Mapping, Sequence
from itertools import count
from typing import Any
from uuid import uuid4

import httpx2

from rustok.client import RustokClient
from rustok.embedded.process import free_port
from tests.bench.figures import median
from tests.bench.products import PATH, product_body, request_headers
from tests.bench.stage import Processes, Stage, analyze, open_shop
from tests.bench.table import Finding, Report, Target

_SEARCH = "/api/v1/search/products"
_PAGE = 20
_PUBLISHED = 60
_IN_A_ROW = 10
_NUMBERS = count()

Call = Callable[[], Awaitable[object]]
Calls = Mapping[str, Call]

_METHOD = (
    f"one client, one call after the other, one API process; in turns of {_IN_A_ROW}, medians of the rounds. "
    f"Beside it: httpx2 with a JSON body and an Idempotency-Key, its answer read by `json()`. Created are drafts as in "
    f"write_path; a search has a page of {_PAGE}, and shows no token, since every write was shown before. CPU: that "
    f"of the client's process."
)


def run(stage: Stage) -> Report:
    """Measure creates, reads and searches, each by both."""
    return asyncio.run(_run(stage))


async def _run(stage: Stage) -> Report:
    async with open_shop(stage) as shop:
        with Processes(stage, shop) as processes:
            port = free_port()
            processes.start_relay_and_worker()
            processes.start_api(port)
            base_url = f"http://127.0.0.1:{port}"
            async with (
                RustokClient(base_url, shop.token) as typed,
                httpx2.AsyncClient(base_url=base_url, headers=request_headers(shop.token)) as http,
            ):
                published = [await typed.commerce.products.create(**_product("active")) for _ in range(_PUBLISHED)]
                await analyze(shop)
                ours, beside = _typed(typed, str(published[0].id)), _raw(http, str(published[0].id))
                findings = [each for name in ours for each in await _compare(stage, name, ours, beside)]
    return Report("client", _METHOD, findings)


def _typed(rustok: RustokClient, product_id: str) -> Calls:
    return {
        "search": lambda: rustok.index.products.search(locale="en", limit=_PAGE).first(),
        "get": lambda: rustok.commerce.products.get(product_id),
        "create": lambda: rustok.commerce.products.create(**_product()),
    }


def _raw(http: httpx2.AsyncClient, product_id: str) -> Calls:
    async def search() -> Any:
        return _read(await http.get(_SEARCH, params={"locale": "en", "limit": _PAGE}))

    async def get() -> Any:
        return _read(await http.get(f"{PATH}/{product_id}"))

    async def create() -> Any:
        return _read(await http.post(PATH, json=_product(), headers={"Idempotency-Key": str(uuid4())}))

    return {"search": search, "get": get, "create": create}


def _read(answer: httpx2.Response) -> Any:
    answer.raise_for_status()
    return answer.json()


def _product(status: str = "draft") -> Any:
    return json.loads(product_body(status).replace("@@", f"{next(_NUMBERS):09d}"))


async def _compare(stage: Stage, name: str, ours: Calls, beside: Calls) -> list[Finding]:
    calls = 100 if stage.quick else 500
    await _times(ours[name], beside[name], calls // 5)  # connections, and the writes that searches show
    rounds = [await _times(ours[name], beside[name], calls) for _ in range(stage.rounds(7))]
    return [
        _finding(name, [(typed.wall_ms, raw.wall_ms) for typed, raw in rounds]),
        _finding(f"{name}, CPU", [(typed.cpu_ms, raw.cpu_ms) for typed, raw in rounds]),
    ]


def _finding(name: str, pairs: Sequence[tuple[float, float]]) -> Finding:
    raw_ms = median(raw for _, raw in pairs)
    ratio = median(typed / raw for typed, raw in pairs)
    return Finding(name, ratio * raw_ms, "ms", raw_ms, "httpx2", Target("<=", 1.15))


async def _times(ours: Call, beside: Call, calls: int) -> tuple["_Times", "_Times"]:
    """Return the times of a call of each, made in turns of ten so that both meet the same machine."""
    typed, raw = _Times(), _Times()
    for _ in range(calls // _IN_A_ROW):
        await typed.add(ours)
        await raw.add(beside)
    return typed, raw


class _Times:
    """Time that passed, and time of this process, a call."""

    def __init__(self) -> None:
        self._wall_s = self._cpu_s = 0.0
        self._calls = 0

    async def add(self, call: Call) -> None:
        began_s, cpu_s = time.perf_counter(), time.process_time()
        for _ in range(_IN_A_ROW):
            await call()
        self._wall_s += time.perf_counter() - began_s
        self._cpu_s += time.process_time() - cpu_s
        self._calls += _IN_A_ROW

    @property
    def wall_ms(self) -> float:
        return 1000 * self._wall_s / self._calls

    @property
    def cpu_ms(self) -> float:
        return 1000 * self._cpu_s / self._calls
