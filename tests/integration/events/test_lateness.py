"""How late events are delivered, as writes are judged by it."""

import pytest

from rustok.events.lateness import count_caught_up, undelivered_age_s
from rustok.testing import PlatformUnderTest
from tests.integration.api.support import administrator

pytestmark = pytest.mark.under_fire

CONSUMER = "commerce.index_products"
HOUR_S = 3600


async def age(rustok: PlatformUnderTest, *consumers: str) -> float:
    """Return the age as the API sees it, in whole minutes."""
    return 60 * round(await undelivered_age_s(rustok.app_engine, consumers or rustok.consumers) / 60)


async def run(rustok: PlatformUnderTest, statement: str) -> None:
    async with administrator(rustok.database) as admin:
        await admin.execute(statement)


@pytest.fixture
async def log_of_an_hour_ago(rustok: PlatformUnderTest) -> PlatformUnderTest:
    """One tenant was created an hour ago; every consumer has caught up, but one that has lost its way since."""
    await rustok.create_tenant()
    await rustok.settle()
    await count_caught_up(rustok.system_engine)
    await run(rustok, "UPDATE event_log SET recorded_at = now() - interval '1 hour'")
    await run(rustok, f"UPDATE checkpoints SET position = 0 WHERE consumer = '{CONSUMER}'")
    return rustok


async def test_nothing_is_late_where_nothing_waits(rustok: PlatformUnderTest) -> None:
    """Neither without any event nor after the last one was delivered."""
    before = await age(rustok)
    await rustok.create_tenant()
    await rustok.settle()

    assert (before, await age(rustok)) == (0, 0)


async def test_an_event_in_the_outbox_is_late_since_it_occurred(rustok: PlatformUnderTest) -> None:
    """Whoever consumes it."""
    await rustok.create_tenant()
    await run(rustok, "UPDATE outbox SET occurred_at = now() - interval '1 hour'")

    assert await age(rustok, "nobody") == HOUR_S


async def test_an_event_in_the_log_is_late_for_who_has_not_read_it(log_of_an_hour_ago: PlatformUnderTest) -> None:
    """Consumers that this release does not have hold nobody up: a release that is gone would stop all writes."""
    rustok = log_of_an_hour_ago

    assert await age(rustok) == HOUR_S
    assert await age(rustok, "content.index_content") == 0


async def test_a_new_consumer_counts_once_it_has_caught_up(log_of_an_hour_ago: PlatformUnderTest) -> None:
    """It has the whole log to read first."""
    rustok = log_of_an_hour_ago
    await run(rustok, f"DELETE FROM checkpoints WHERE consumer = '{CONSUMER}'")
    await rustok.store.prepare([CONSUMER])
    await count_caught_up(rustok.system_engine)
    while_new = await age(rustok, CONSUMER)

    await rustok.settle()
    caught_up = await count_caught_up(rustok.system_engine)
    await run(rustok, f"UPDATE checkpoints SET position = 0 WHERE consumer = '{CONSUMER}'")

    assert while_new == 0
    assert caught_up == 1, "the shards without an event had nothing to catch up with"
    assert await age(rustok, CONSUMER) == HOUR_S
