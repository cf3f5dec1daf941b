"""What every wake-up promises: a hint is there for the next wait, whenever it came, and for no other."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import suppress
from dataclasses import dataclass

import asyncpg
import pytest

from rustok.events.outbox import CHANNEL
from rustok.events.wakeup import OutboxWake
from rustok.kernel.ports import Wake
from rustok.runtime import LocalWake
from rustok.testing import Database, DatabaseServer, FixedClock

LONG_S = 20.0  # a test fails after it; nothing ever waits so long
SHORT_S = 0.01


@dataclass(frozen=True, slots=True)
class WakeUnderTest:
    wake: Wake
    hint: Callable[[], Awaitable[None]]


@pytest.fixture(scope="module")
async def shared_database(database_server: DatabaseServer) -> AsyncIterator[Database]:
    async with database_server.throw_away() as database:
        yield database


@pytest.fixture(params=["local", "postgres"])
async def under_test(request: pytest.FixtureRequest, shared_database: Database) -> AsyncIterator[WakeUnderTest]:
    """The wake-up of one process, which the simulator gives to its relays as well, and that of a relay."""
    if request.param == "local":
        local = LocalWake()

        async def hint() -> None:
            local.wake()

        yield WakeUnderTest(local, hint)
        return
    wake = OutboxWake(shared_database.system_url, FixedClock())
    listening = asyncio.create_task(wake.run())
    admin = await asyncpg.connect(shared_database.admin_url)

    async def notify() -> None:
        await admin.execute(f"NOTIFY {CHANNEL}, 'events'")

    assert await wake.wait(LONG_S), "it wakes as soon as it listens"
    yield WakeUnderTest(wake, notify)
    await admin.close()
    listening.cancel()
    with suppress(asyncio.CancelledError):
        await listening


async def test_a_hint_wakes_who_waits(under_test: WakeUnderTest) -> None:
    """At once."""
    waiting = asyncio.create_task(under_test.wake.wait(LONG_S))
    await asyncio.sleep(0)  # it begins to wait

    await under_test.hint()

    assert await waiting


async def test_a_hint_that_came_before_the_wait_counts(under_test: WakeUnderTest) -> None:
    """The loop was at work meanwhile, and may have passed what the hint is about."""
    await under_test.hint()

    assert await under_test.wake.wait(LONG_S)


async def test_a_hint_counts_once(under_test: WakeUnderTest) -> None:
    """Or the loop would never rest."""
    await under_test.hint()
    await under_test.wake.wait(LONG_S)

    assert not await under_test.wake.wait(SHORT_S)


async def test_without_a_hint_the_wait_ends_with_its_time(under_test: WakeUnderTest) -> None:
    """Then the loop polls."""
    assert not await under_test.wake.wait(SHORT_S)


async def test_a_wait_that_is_cancelled_takes_no_hint(under_test: WakeUnderTest) -> None:
    """The next one gets it."""
    waiting = asyncio.create_task(under_test.wake.wait(LONG_S))
    await asyncio.sleep(0)
    waiting.cancel()
    with suppress(asyncio.CancelledError):
        await waiting

    await under_test.hint()

    assert await under_test.wake.wait(LONG_S)
