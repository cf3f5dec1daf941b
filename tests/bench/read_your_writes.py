"""What it costs to see one's own write in the index: waiting for it beside asking again, and a token beside none."""

import asyncio
import time
from collections.abc import Awaitable, Callable, Mapping

import asyncpg
import httpx2

from rustok.embedded.process import free_port
from tests.bench.figures import median, percentile
from tests.bench.load import Load, Plan, run_load
from tests.bench.products import PATH, product_body, request_headers
from tests.bench.stage import Processes, Shop, Stage, open_shop
from tests.bench.table import Finding, Report, Target

_TOKEN = "RusToK-Consistency"
_SEARCH = "/api/v1/search/products?locale=en&limit=1"
_CLIENTS = 16
_ASK_EVERY_S = 0.02
_LOOKS = "SELECT coalesce(sum(calls), 0) FROM pg_stat_user_functions WHERE funcname = 'index_behind'"
_TOLD_WITHIN_S = 1.5
"""A backend tells of its calls once a second."""

_METHOD = (
    f"one API process, one relay, one worker. A reader publishes a product and searches for the newest one, every "
    f"0.3 s: with its token and `Prefer: wait=5`, and in turns with that again and again, every "
    f"{1000 * _ASK_EVERY_S:.0f} ms, until it is there; from the answer to the write to the answer that shows it. Then "
    f"{_CLIENTS} clients search without a pause, without a token and with that of a write long shown, in turns, "
    f"medians. Looks: questions to PostgreSQL what is behind, a search that shows a token."
)


def run(stage: Stage) -> Report:
    """Measure readers of their own writes, then searches with and without a token."""
    return asyncio.run(_run(stage))


async def _run(stage: Stage) -> Report:
    async with open_shop(stage) as shop:
        admin = await asyncpg.connect(shop.database.admin_url)
        await admin.execute(f"ALTER DATABASE {shop.database.name} SET track_functions = 'all'")
        with Processes(stage, shop) as processes:
            port = free_port()
            processes.start_relay_and_worker()
            processes.start_api(port)
            base_url = f"http://127.0.0.1:{port}"
            async with httpx2.AsyncClient(base_url=base_url, headers=request_headers(shop.token)) as client:
                reader = _Reader(client)
                await reader.times_ms(reader.wait, 5)
                rounds = [
                    (await reader.times_ms(reader.wait, times), await reader.times_ms(reader.ask_again, times))
                    for times in [5 if stage.quick else 10] * stage.rounds(4)
                ]
                shown = {_TOKEN: (await reader.write()).headers[_TOKEN], "Prefer": "wait=5"}
            loads = []
            for _ in range(stage.rounds(5)):
                plain = await _search(stage, shop, port, {})
                before = await _looks(admin)
                loads.append((plain, tokened := await _search(stage, shop, port, shown)))
                looks = (await _looks(admin) - before) / tokened.answers
        await admin.close()
    waited, asked = ([time_ms for each in rounds for time_ms in each[place]] for place in (0, 1))
    ratio = median(tokened.a_second / plain.a_second for plain, tokened in loads)
    plain_a_second = median(plain.a_second for plain, _ in loads)
    return Report(
        "read_your_writes",
        _METHOD,
        [
            Finding("write to search, p50", median(waited), "ms", median(asked), "asking again"),
            Finding("write to search, p99", percentile(waited, 0.99), "ms", percentile(asked, 0.99), "asking again"),
            Finding("searches with a token", ratio * plain_a_second, "/s", plain_a_second, "without"),
            Finding("looks a search with a token", looks, "", target=Target("<=", 0.5, "ours")),
        ],
    )


class _Reader:
    def __init__(self, client: httpx2.AsyncClient) -> None:
        self._client = client
        self._number = 0

    async def write(self) -> httpx2.Response:
        """Publish a product and return the answer."""
        self._number += 1
        body = product_body("active").replace("@@", f"read-{self._number:09d}")
        headers = {"Content-Type": "application/json", "Idempotency-Key": f"read-{self._number}"}
        answer = await self._client.post(PATH, content=body, headers=headers)
        answer.raise_for_status()
        return answer

    async def wait(self, written: httpx2.Response) -> None:
        headers = {_TOKEN: written.headers[_TOKEN], "Prefer": "wait=5"}
        answer = await self._client.get(_SEARCH, headers=headers)
        assert answer.json()["data"][0]["product_id"] == written.json()["id"]

    async def ask_again(self, written: httpx2.Response) -> None:
        while True:
            found = (await self._client.get(_SEARCH)).json()["data"]
            if found and found[0]["product_id"] == written.json()["id"]:
                return
            await asyncio.sleep(_ASK_EVERY_S)

    async def times_ms(self, read: Callable[[httpx2.Response], Awaitable[None]], times: int) -> list[float]:
        """Return how long *read* took after each of so many writes."""
        times_ms = []
        for _ in range(times):
            written = await self.write()
            began_s = time.perf_counter()
            await read(written)
            times_ms.append(1000 * (time.perf_counter() - began_s))
            await asyncio.sleep(0.3)
        return times_ms


async def _search(stage: Stage, shop: Shop, port: int, headers: Mapping[str, str]) -> Load:
    plan = Plan(
        port,
        _SEARCH,
        "",
        {**request_headers(shop.token, "search"), **headers},
        _CLIENTS,
        stage.seconds(3),
        method="GET",
    )
    return await asyncio.to_thread(run_load, plan)


async def _looks(admin: asyncpg.Connection) -> int:
    """Return how often PostgreSQL was asked what is behind."""
    await asyncio.sleep(_TOLD_WITHIN_S)
    return int(await admin.fetchval(_LOOKS))
