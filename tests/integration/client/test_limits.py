"""What a typed client does when it is too fast, and when its own first attempt is still at work."""

import asyncio
from collections import Counter

import httpx2
import pytest

from rustok.client import RateLimited
from rustok.client.models import Product
from rustok.testing import PlatformUnderTest
from tests.integration.api.support import ApiUnderTest, administrator, settings_for
from tests.integration.client.support import QUICK, Written, a_product, client_of, written
from tests.waiting import eventually_async

_WAITING = """
SELECT count(*) FROM pg_stat_activity
 WHERE datname = current_database() AND application_name = 'rustok_api' AND wait_event_type = 'Lock'
"""


def count_answers(api: ApiUnderTest) -> Counter[int]:
    """Return a count of the statuses that are going to be answered."""
    statuses: Counter[int] = Counter()

    async def count(response: httpx2.Response) -> None:
        statuses[response.status_code] += 1

    api.client.event_hooks = {"response": [count]}
    return statuses


async def test_who_is_too_fast_waits_as_long_as_is_said(rustok: PlatformUnderTest) -> None:
    """429 with Retry-After, and all is written at last, each once."""
    async with ApiUnderTest.open(rustok, settings=settings_for(rustok.database, request_quota="1/s")) as api:
        client, statuses = client_of(api), count_answers(api)

        await asyncio.gather(*(a_product(client, f"Number {number}") for number in range(4)))

    assert statuses[429] > 0
    assert statuses[201] == 4
    assert await written(rustok.database, api.tenant_id) == Written(rows=4, created=4)


async def test_a_wait_beyond_the_budget_is_not_begun(rustok: PlatformUnderTest) -> None:
    """A quota of two an hour: the third call would have to wait for longer than anybody does."""
    async with ApiUnderTest.open(rustok, settings=settings_for(rustok.database, request_quota="2/h")) as api:
        client = client_of(api)
        await a_product(client, "One")
        await a_product(client, "Two")

        with pytest.raises(RateLimited, match="429 rate_limited") as raised:
            await a_product(client, "Three")

    assert (raised.value.attempts, raised.value.may_be_done) == (1, False)
    assert raised.value.retry_after_s > QUICK.budget_s
    assert await written(rustok.database, api.tenant_id) == Written(rows=2, created=2)


async def test_an_attempt_that_finds_an_earlier_one_at_work_waits_for_it(api: ApiUnderTest) -> None:
    """409 request_in_progress until the earlier one has its answer, which is then that of both."""
    client, statuses = client_of(api), count_answers(api)
    product = await a_product(client)
    command = client.commerce.products.publish(product.id)

    async def outcome() -> Product:
        return await command

    async with administrator(api.database) as admin:
        async with admin.transaction():
            await admin.execute("SELECT FROM products FOR UPDATE")
            first = asyncio.ensure_future(outcome())
            await eventually_async(lambda: admin.fetchval(_WAITING))
            second = asyncio.ensure_future(outcome())
            await eventually_async(lambda: _is_counted(statuses, 409))
        assert await first == await second

    assert (await client.commerce.products.get(product.id)).version == product.version + 1


async def _is_counted(statuses: Counter[int], status: int) -> bool:
    return statuses[status] > 0
