"""PostgreSQL goes away under the API: 503 and Retry-After, and it comes back by itself."""

import asyncio

import asyncpg
import httpx2
import pytest

from rustok.db.engine import create_engine
from rustok.testing import Database, PlatformUnderTest
from tests.integration.api.support import PRODUCTS, ApiUnderTest, administrator, assert_problem

_KILL = """
SELECT pg_terminate_backend(pid, 5000) FROM pg_stat_activity
 WHERE datname = current_database() AND application_name = 'rustok_api'
"""
_WAITING = """
SELECT count(*) FROM pg_stat_activity
 WHERE datname = current_database() AND application_name = 'rustok_api' AND wait_event_type = 'Lock'
"""


async def kill_connections(admin: asyncpg.Connection) -> None:
    assert {has_ended for [has_ended] in await admin.fetch(_KILL)} == {True}


def assert_unavailable(response: httpx2.Response) -> None:
    assert assert_problem(response, 503, "unavailable")["retryable"] is True
    assert response.headers["retry-after"] == "1"


async def test_killed_connections_cost_one_round_of_requests(api: ApiUnderTest) -> None:
    """Each request under way is answered 503 or served; the next ones are served."""
    await asyncio.gather(*(api.client.get(PRODUCTS) for _ in range(8)))

    async with administrator(api.database) as admin:
        await kill_connections(admin)
    first = await asyncio.gather(*(api.client.get(PRODUCTS) for _ in range(8)))
    next_ones = await asyncio.gather(*(api.client.get(PRODUCTS) for _ in range(8)))

    for response in first:
        if response.status_code != 200:
            assert_unavailable(response)
    assert [response.status_code for response in next_ones] == [200] * 8


async def test_a_write_whose_connection_is_killed_is_answered_503_and_not_written(api: ApiUnderTest) -> None:
    """In the middle of its transaction; sent again, it succeeds."""
    product = await api.create()
    path = f"{PRODUCTS}/{product['id']}"

    def change() -> "asyncio.Future[httpx2.Response]":
        return asyncio.ensure_future(api.client.patch(path, json={"vendor": "A"}, headers={"If-Match": '"1"'}))

    async with administrator(api.database) as admin, admin.transaction():
        await admin.execute("SELECT FROM products FOR UPDATE")
        response = change()
        while not await admin.fetchval(_WAITING):
            pass
        await kill_connections(admin)
        assert_unavailable(await response)

    assert (await change()).status_code == 200


async def test_a_database_that_lets_nobody_in_is_unavailable(api: ApiUnderTest) -> None:
    """The process stays, and serves as soon as it may connect again."""
    async with administrator(api.database) as admin:
        await admin.execute(f"ALTER DATABASE {api.database.name} CONNECTION LIMIT 0")
        await kill_connections(admin)
        for _ in range(3):
            assert_unavailable(await api.client.get(PRODUCTS))

        await admin.execute(f"ALTER DATABASE {api.database.name} CONNECTION LIMIT -1")
        assert (await api.client.get(PRODUCTS)).status_code == 200


async def test_a_statement_that_takes_too_long_is_unavailable(rustok: PlatformUnderTest) -> None:
    """PostgreSQL cancels it; nothing was written."""
    engine = create_engine(rustok.database.app_url, statement_timeout_s=0.05)
    async with ApiUnderTest.open(rustok, engine=engine) as api:
        product = await api.create()
        async with administrator(api.database) as admin, admin.transaction():
            await admin.execute("SELECT FROM products FOR UPDATE")

            response = await api.client.post(f"{PRODUCTS}/{product['id']}/publish")

    assert_unavailable(response)


@pytest.mark.parametrize("is_known", [True, False], ids=["a known key", "a key to look up"])
async def test_a_request_that_gets_no_connection_in_time_is_unavailable(
    rustok: PlatformUnderTest, database: Database, *, is_known: bool
) -> None:
    """The pool is bounded, and so is the wait for it."""
    engine = create_engine(database.app_url, pool_size=1, pool_timeout_s=0.02)
    async with ApiUnderTest.open(rustok, engine=engine) as api:
        if is_known:
            await api.client.get(PRODUCTS)

        async with engine.connect():
            starved = await api.client.get(PRODUCTS)
        served = await api.client.get(PRODUCTS)

    assert_unavailable(starved)
    assert served.status_code == 200
