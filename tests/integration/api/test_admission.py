"""Late events keep writes out, and nothing else: 429 to tenants that send the most, 503 when it is far too late."""

from collections.abc import AsyncIterator

import httpx2
import pytest

from rustok.testing import FixedClock, PlatformUnderTest
from tests.integration.api.support import (
    PRODUCTS,
    UNKNOWN_ID,
    ApiUnderTest,
    administrator,
    assert_problem,
    bearer,
    settings_for,
)
from tests.waiting import eventually_async

_AGE = "UPDATE outbox SET occurred_at = now() - make_interval(secs => $1)"
_ADMITTED = 422
"""What a write without a body is answered that was let in."""


@pytest.fixture
def clock() -> FixedClock:
    return FixedClock()


@pytest.fixture
async def api(rustok: PlatformUnderTest, clock: FixedClock) -> AsyncIterator[ApiUnderTest]:
    """An API that admits writes by age. No relay runs: what it writes stays in the outbox."""
    settings = settings_for(rustok.database, admission_soft_age_s=10.0, admission_hard_age_s=60.0)
    async with ApiUnderTest.open(rustok, settings=settings, clock=clock) as api:
        yield api


async def let_age(api: ApiUnderTest, age_s: float) -> None:
    async with administrator(api.database) as admin:
        await admin.execute(_AGE, age_s)


async def write(api: ApiUnderTest, clock: FixedClock, token: str = "") -> httpx2.Response:
    """Write in a second of its own."""
    clock.advance(1)
    return await api.client.post(PRODUCTS, json={}, headers=bearer(token) if token else {})


async def write_until(api: ApiUnderTest, clock: FixedClock, status: int) -> httpx2.Response:
    """Write once a second until that is answered with *status*: the age is read beside the writes."""
    last: list[httpx2.Response] = []

    async def is_answered_so() -> bool:
        last[:] = [await write(api, clock)]
        return last[0].status_code == status

    await eventually_async(is_answered_so)
    return last[0]


async def test_events_that_are_far_too_late_keep_writes_out(api: ApiUnderTest, clock: FixedClock) -> None:
    """Reads and critical commands go on, and writes are back as soon as events are delivered."""
    await let_age(api, 3600)

    refused = await write_until(api, clock, 503)
    read = await api.client.get(PRODUCTS)
    cancelled = await api.client.delete(f"/api/v1/operations/{UNKNOWN_ID}")
    await api.rustok.settle()
    again = await write_until(api, clock, _ADMITTED)

    assert assert_problem(refused, 503, "overloaded")["retryable"] is True
    assert refused.headers["retry-after"] == "10"
    assert read.status_code == 200
    assert_problem(cancelled, 404, "operation_not_found")
    assert_problem(again, 422, "invalid_input")


async def test_late_events_keep_some_writes_of_the_tenant_that_floods_out(api: ApiUnderTest, clock: FixedClock) -> None:
    """Another one that writes little notices nothing."""
    await let_age(api, 35)
    other = await api.new_key(tenant_id=await api.rustok.create_tenant("quiet"))
    await let_age(api, 35)

    answers: list[httpx2.Response] = []

    async def is_shared() -> bool:
        quiet = await write(api, clock, other)
        answers[:] = [quiet, *[await api.client.post(PRODUCTS, json={}) for _ in range(20)]]
        return 429 in {answer.status_code for answer in answers}

    await eventually_async(is_shared)
    quiet, *flood = answers

    assert quiet.status_code == _ADMITTED
    refused = next(answer for answer in flood if answer.status_code == 429)
    assert assert_problem(refused, 429, "too_many_writes")["retryable"] is True
    assert int(refused.headers["retry-after"]) in range(1, 11)
    assert flood[0].status_code == _ADMITTED


async def test_a_consumer_that_is_late_keeps_writes_out_once_it_has_caught_up(
    api: ApiUnderTest, clock: FixedClock
) -> None:
    """A new one reads the whole log first: writes need not wait for that."""
    await api.rustok.settle()
    async with administrator(api.database) as admin:
        await admin.execute("UPDATE event_log SET recorded_at = now() - interval '1 hour'")
        await admin.execute("UPDATE checkpoints SET position = 0 WHERE consumer = 'commerce.index_products'")
        new = [(await write(api, clock)).status_code for _ in range(3)]
        await admin.execute("UPDATE checkpoints SET is_live = true")

    await write_until(api, clock, 503)

    assert new == [_ADMITTED] * 3
