"""A tenant sends as many requests as its quota, and each answer tells it how many are left."""

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import httpx2
import pytest

from rustok.kernel.errors import InvalidInput
from rustok.testing import FixedClock, PlatformUnderTest
from tests.integration.api.support import (
    PRODUCTS,
    ApiUnderTest,
    a_product,
    assert_problem,
    bearer,
    settings_for,
)

BATCH = "/api/v1/commerce:batch"
POLICY = '"tenant";q=10;w=60'


class Stopped(FixedClock):
    """A clock on which nobody sleeps to the end until they may."""

    def __init__(self) -> None:
        super().__init__()
        self.is_waited_for, self.may_go_on = asyncio.Event(), asyncio.Event()

    async def sleep(self, seconds: float) -> None:
        self.is_waited_for.set()
        await self.may_go_on.wait()
        await super().sleep(seconds)


@pytest.fixture
def clock() -> FixedClock:
    return FixedClock()


@pytest.fixture
async def api(rustok: PlatformUnderTest, clock: FixedClock) -> AsyncIterator[ApiUnderTest]:
    """An API that takes 10 requests a minute of each tenant."""
    settings = settings_for(rustok.database, request_quota="10/min")
    async with ApiUnderTest.open(rustok, settings=settings, clock=clock) as api:
        yield api


def fields(response: httpx2.Response) -> tuple[str | None, str | None]:
    return response.headers.get("ratelimit-policy"), response.headers.get("ratelimit")


async def use_up(api: ApiUnderTest) -> httpx2.Response:
    """Send the requests of a quota, and return the answer to one more."""
    for _ in range(10):
        assert (await api.client.get(PRODUCTS)).status_code == 200
    return await api.client.get(PRODUCTS)


def creates(number: int) -> dict[str, Any]:
    items = [
        {
            "command": "commerce.products.create",
            "input": {"translations": {"en": {"title": f"Bicycle {place} of {number}"}}},
        }
        for place in range(number)
    ]
    return {"mode": "independent", "items": items}


async def test_every_answer_to_a_valid_credential_tells_the_quota(api: ApiUnderTest) -> None:
    """Answers and problems alike, as structured fields."""
    created = await api.client.post(PRODUCTS, json=a_product())
    at = created.headers["location"]
    answers = [
        created,
        await api.client.get(at),
        await api.client.get(at, headers={"If-None-Match": created.headers["etag"]}),
        await api.client.head(PRODUCTS),
        await api.client.get(f"{PRODUCTS}?nonsense=1"),
        await api.client.post(PRODUCTS, json={}),
        await api.client.get(PRODUCTS, headers={"X-Tenant": "zenith"}),
    ]

    assert [answer.status_code for answer in answers] == [201, 200, 304, 200, 400, 422, 403]
    assert [fields(answer) for answer in answers] == [(POLICY, f'"tenant";r={left};t=6') for left in range(9, 2, -1)]


async def test_what_nobody_signed_is_not_counted(api: ApiUnderTest) -> None:
    """Health, metrics, documents, unknown routes, and requests without a valid key: they tell no quota and use none."""
    for path in ("/health/live", "/metrics", "/api/openapi.json", "/docs/errors", "/api/v1/nowhere"):
        assert fields(await api.client.get(path)) == (None, None)
    assert fields(await api.client.get(PRODUCTS, headers=bearer("rtk_nobody"))) == (None, None)

    assert fields(await api.client.get(PRODUCTS)) == (POLICY, '"tenant";r=9;t=6')


async def test_a_request_over_the_quota_is_a_problem_that_says_when_to_come_again(
    api: ApiUnderTest, clock: FixedClock
) -> None:
    """The same request is taken then. It has been looked at twice, a second apart."""
    refused = await use_up(api)

    problem = assert_problem(refused, 429, "rate_limited")
    assert problem["retryable"] is True
    assert problem["detail"] == "This tenant has used up its quota of 10/min: send the request later."
    assert refused.headers["retry-after"] == "5"
    assert fields(refused) == (POLICY, '"tenant";r=0;t=5')
    clock.advance(5)
    assert (await api.client.get(PRODUCTS)).status_code == 200
    assert (await api.client.get(PRODUCTS)).status_code == 429


async def test_a_request_a_little_over_the_quota_is_taken_a_little_later(rustok: PlatformUnderTest) -> None:
    """Whoever asks again at once is made slower by it, and costs nobody time."""
    settings = settings_for(rustok.database, request_quota="1/s")
    async with ApiUnderTest.open(rustok, settings=settings, clock=FixedClock()) as api:
        answers = [await api.client.get(PRODUCTS) for _ in range(3)]

    assert [(answer.status_code, fields(answer)[1]) for answer in answers] == [(200, '"tenant";r=0;t=1')] * 3


async def test_a_request_that_is_going_to_be_refused_keeps_nobody_out(rustok: PlatformUnderTest) -> None:
    """Not even where one request is in progress at a time: it only waits."""
    clock = Stopped()
    settings = settings_for(rustok.database, request_quota="10/min", requests_in_progress=1)
    async with ApiUnderTest.open(rustok, settings=settings, clock=clock) as api:
        other = await api.new_key(tenant_id=await api.rustok.create_tenant("zenith"))
        flood = asyncio.create_task(use_up(api))
        await clock.is_waited_for.wait()

        answer = await api.client.get(PRODUCTS, headers=bearer(other))
        clock.may_go_on.set()

        assert answer.status_code == 200
        assert (await flood).status_code == 429


async def test_a_refused_write_has_done_nothing_and_is_done_when_it_comes_again(
    api: ApiUnderTest, clock: FixedClock
) -> None:
    """Once, with its key; and its body was not even read."""
    await use_up(api)
    headers = {"Idempotency-Key": "a-key"}

    refused = await api.client.post(PRODUCTS, json=a_product(), headers=headers)
    unread = await api.post_text(b"{" * 2_000_000)
    clock.advance(60)
    products = (await api.client.get(PRODUCTS)).json()["data"]
    done = await api.client.post(PRODUCTS, json=a_product(), headers=headers)

    assert (refused.status_code, unread.status_code) == (429, 429)
    assert products == []
    assert (done.status_code, done.headers.get("idempotent-replayed")) == (201, None)


async def test_a_tenant_has_nothing_to_do_with_the_quota_of_another(api: ApiUnderTest) -> None:
    """All keys of a tenant share its quota."""
    again = await api.new_key()
    other = await api.new_key(tenant_id=await api.rustok.create_tenant("zenith"))

    await use_up(api)

    assert (await api.client.get(PRODUCTS, headers=bearer(again))).status_code == 429
    assert fields(await api.client.get(PRODUCTS, headers=bearer(other))) == (POLICY, '"tenant";r=9;t=6')


async def test_a_batch_counts_as_its_items(api: ApiUnderTest, clock: FixedClock) -> None:
    """One that is larger than what is left is done, if one is left, and owed: the next request waits for all of it."""
    small = await api.client.post(BATCH, json=creates(4))
    large = await api.client.post(BATCH, json=creates(12))
    refused = await api.client.post(BATCH, json=creates(1))

    assert fields(small) == (POLICY, '"tenant";r=6;t=6')
    assert (large.status_code, fields(large)) == (200, (POLICY, '"tenant";r=0;t=42'))
    assert (refused.status_code, refused.headers["retry-after"]) == (429, "41")
    clock.advance(41)
    assert len((await api.client.get(PRODUCTS)).json()["data"]) == 16


async def test_a_batch_needs_one_and_owes_the_rest(api: ApiUnderTest, clock: FixedClock) -> None:
    """Else one of more items than the quota has would never pass."""
    for _ in range(9):
        await api.client.get(PRODUCTS)

    taken = await api.client.post(BATCH, json=creates(3))
    refused = await api.client.post(BATCH, json=creates(2))

    assert taken.status_code == 200
    assert_problem(refused, 429, "rate_limited")
    clock.advance(3 * 6)
    assert len((await api.client.get(PRODUCTS)).json()["data"]) == 3


async def test_a_tenant_may_have_a_quota_of_its_own(api: ApiUnderTest) -> None:
    """It holds from the request after the first one that notices it, and so does its end."""
    set_quota = "tenants.quotas.set"

    async def told() -> tuple[str | None, str | None]:
        for _ in range(2):
            response = await api.client.get(PRODUCTS)
        return fields(response)

    assert await told() == (POLICY, '"tenant";r=8;t=6')
    await api.rustok.run(set_quota, api.tenant_id, request_quota="100/min")
    assert await told() == ('"tenant";q=100;w=60', '"tenant";r=96;t=1')
    await api.rustok.run(set_quota, api.tenant_id, request_quota=None)
    assert (await told())[0] == POLICY


async def test_a_tenant_that_has_used_up_its_quota_is_served_as_soon_as_it_has_a_larger_one(api: ApiUnderTest) -> None:
    """It need not wait until a request is taken by the old one, which may be in an hour."""
    assert (await use_up(api)).status_code == 429

    await api.rustok.run("tenants.quotas.set", api.tenant_id, request_quota="100/min")
    response = await api.client.get(PRODUCTS)

    assert response.status_code == 200
    assert fields(response)[0] == '"tenant";q=100;w=60'


async def test_what_is_no_quota_is_refused(rustok: PlatformUnderTest) -> None:
    """With the forms that there are; and nothing is set."""
    tenant_id = await rustok.create_tenant()

    with pytest.raises(InvalidInput) as refused:
        await rustok.run("tenants.quotas.set", tenant_id, request_quota="0/s")

    [fault] = refused.value.violations
    assert (fault.pointer, fault.detail) == ("/request_quota", "does not read NUMBER/s, NUMBER/min or NUMBER/h")
