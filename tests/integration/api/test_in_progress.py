"""More requests than a process can work at are refused in time, and those that cost nothing keep nobody out."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager

import httpx2
import pytest

from rustok.testing import PlatformUnderTest
from tests.integration.api.support import PRODUCTS, ApiUnderTest, a_product, administrator, assert_problem, settings_for
from tests.waiting import eventually_async

SEARCH = "/api/v1/search/products?locale=en"
_WAITS = "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'"


@pytest.fixture
async def api(rustok: PlatformUnderTest) -> AsyncIterator[ApiUnderTest]:
    """An API that works at one request at a time."""
    async with ApiUnderTest.open(rustok, settings=settings_for(rustok.database, requests_in_progress=1)) as api:
        yield api


@asynccontextmanager
async def occupied(api: ApiUnderTest) -> AsyncIterator[None]:
    """Have a request in progress: it waits for a row that somebody holds."""
    product = await api.create()
    async with administrator(api.database) as admin, admin.transaction():
        await admin.execute("SELECT FROM products WHERE id = $1 FOR UPDATE", product["id"])
        patched = asyncio.create_task(
            api.client.patch(f"{PRODUCTS}/{product['id']}", json={"vendor": "Acme"}, headers={"If-Match": '"1"'})
        )
        await _until_somebody_waits(api)
        yield
    assert (await patched).status_code == 200


async def _until_somebody_waits(api: ApiUnderTest) -> None:
    async with administrator(api.database) as watcher:

        async def waits() -> bool:
            return bool(await watcher.fetchval(_WAITS))

        await eventually_async(waits)


async def test_a_request_too_many_is_a_problem_and_has_done_nothing(api: ApiUnderTest) -> None:
    """503 with Retry-After, of which a client may be sure; the one in progress goes on."""
    async with occupied(api):
        refused = await api.client.post(PRODUCTS, json=a_product(translations={"en": {"title": "Another"}}))

    assert assert_problem(refused, 503, "overloaded")["retryable"] is True
    assert refused.headers["retry-after"] == "1"
    assert refused.headers["x-content-type-options"] == "nosniff"
    assert len((await api.client.get(PRODUCTS)).json()["data"]) == 1


async def test_what_watches_the_process_is_answered_all_the_same(api: ApiUnderTest) -> None:
    """An orchestrator must not end a process for having much to do."""
    async with occupied(api):
        for path in ("/health/live", "/health/ready", "/metrics", "/api/openapi.json", "/docs/errors"):
            assert (await api.client.get(path)).status_code == 200


async def test_a_request_that_waits_for_its_turn_is_served(api: ApiUnderTest) -> None:
    """A short crowd is no overload."""
    answers = await asyncio.gather(*(api.client.get(PRODUCTS) for _ in range(20)))

    assert {answer.status_code for answer in answers} == {200}


async def _slow_body(api: ApiUnderTest, may_end: asyncio.Event) -> httpx2.Response:
    async def body() -> AsyncIterator[bytes]:
        yield b'{"translations": '
        await may_end.wait()
        yield b'{"en": {"title": "Slow"}}}'

    return await api.client.post(PRODUCTS, content=body(), headers={"Content-Type": "application/json"})


async def _reader_of_its_writes(api: ApiUnderTest, may_end: asyncio.Event) -> httpx2.Response:
    written = await api.client.post(PRODUCTS, json=a_product(status="active"))
    headers = {"RusToK-Consistency": written.headers["rustok-consistency"], "Prefer": "wait=10"}
    reading = asyncio.create_task(api.client.get(SEARCH, headers=headers))
    await may_end.wait()
    await api.rustok.settle()
    return await reading


@pytest.mark.parametrize("waiting", [_slow_body, _reader_of_its_writes])
async def test_who_waits_keeps_nobody_out(
    api: ApiUnderTest, waiting: Callable[[ApiUnderTest, asyncio.Event], Awaitable[httpx2.Response]]
) -> None:
    """Neither a client that sends slowly, nor one that waits for the index."""
    may_end = asyncio.Event()
    slow = asyncio.ensure_future(waiting(api, may_end))
    await asyncio.sleep(0)

    others = [(await api.client.get(PRODUCTS)).status_code for _ in range(20)]
    may_end.set()

    assert others == [200] * 20
    assert (await slow).status_code in {200, 201}
