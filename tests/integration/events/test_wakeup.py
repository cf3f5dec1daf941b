"""A commit wakes a waiting relay, and a lost connection comes back by itself."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress

from rustok.db.engine import open_engine
from rustok.db.unit_of_work import UnitOfWorkFactory
from rustok.events.outbox import OutboxTransport
from rustok.events.sequencer import Sequenced
from rustok.events.wakeup import OutboxNotifier, OutboxWake
from rustok.kernel.ids import uuid7
from rustok.kernel.ports import MadeJob
from rustok.kernel.secrets import Secrets
from rustok.runtime import LocalWake, SystemClock
from rustok.testing import FixedClock, a_context
from tests.integration.events.log import TENANT, Log, wind

LONG_S = 20.0  # the tests fail after it; nothing ever waits so long
_LISTENERS = "SELECT pid FROM pg_stat_activity WHERE datname = current_database() AND query LIKE 'LISTEN%'"


@asynccontextmanager
async def running(*services: OutboxWake | OutboxNotifier) -> AsyncIterator[None]:
    """Run background services for as long as the block."""
    tasks = [asyncio.create_task(service.run()) for service in services]
    try:
        yield
    finally:
        for task in tasks:
            task.cancel()
            with suppress(asyncio.CancelledError):
                await task


async def test_a_relay_is_woken_when_its_connection_stands(log: Log) -> None:
    """What was committed before it listened would wait for a poll otherwise."""
    wake = OutboxWake(log.database.system_url, FixedClock())

    async with running(wake):
        assert await wake.wait(LONG_S)


async def test_a_commit_with_events_wakes_a_waiting_relay(log: Log) -> None:
    """By way of another connection, after the commit."""
    [clock] = await log.create_clocks(1)
    wake = OutboxWake(log.database.system_url, FixedClock())
    notifier = OutboxNotifier(log.database.app_url, FixedClock())
    async with open_engine(log.database.app_url) as engine, running(wake, notifier):
        transport = OutboxTransport(log.system_engine, notifier.committed)
        units = UnitOfWorkFactory(engine, transport, SystemClock(), Secrets("a secret of the tests"))
        await wake.wait(LONG_S)

        async with units.begin(a_context(TENANT, frozenset())) as uow:
            await wind(uow, clock)

        assert await wake.wait(LONG_S)
        assert await log.sequencer.sequence(10) == Sequenced(1, {"clocks.clock.wound"})


async def test_news_of_events_and_of_jobs_wake_those_they_are_for(log: Log) -> None:
    """The loop that hands out jobs does not ask PostgreSQL for some after each event, nor the sequencer for events."""
    jobs = LocalWake()
    wake = OutboxWake(log.database.system_url, FixedClock(), jobs)
    notifier = OutboxNotifier(log.database.app_url, FixedClock())
    async with running(wake, notifier):
        woken_at_first = await wake.wait(LONG_S), await jobs.wait(LONG_S)

        notifier.committed()
        woken_by_events = await wake.wait(LONG_S), await jobs.wait(0)
        notifier.jobs_made()
        woken_by_jobs = await jobs.wait(LONG_S), await wake.wait(0)
        notifier.committed()
        notifier.jobs_made()
        woken_by_both = await wake.wait(LONG_S), await jobs.wait(LONG_S)

    assert (woken_at_first, woken_by_events, woken_by_jobs, woken_by_both) == (
        (True, True),
        (True, False),
        (True, False),
        (True, True),
    )


async def test_a_relay_is_told_which_jobs_were_made(log: Log) -> None:
    """So it can hint at them without a look; of very many at a time it is told only that there are some."""
    told: list[MadeJob] = []
    jobs = LocalWake()
    wake = OutboxWake(log.database.system_url, FixedClock(), jobs, told.extend)
    notifier = OutboxNotifier(log.database.app_url, FixedClock())
    few, many = [[MadeJob("sums", uuid7(), TENANT) for _ in range(count)] for count in (16, 17)]
    async with running(wake, notifier):
        await jobs.wait(LONG_S)

        notifier.jobs_made(few)
        notifier.committed()
        await jobs.wait(LONG_S)
        told_of_few = [*told]
        notifier.jobs_made(many)
        await jobs.wait(LONG_S)

    assert (told_of_few, told) == (few, few)


async def test_a_notice_of_another_release_is_news_of_everything(log: Log) -> None:
    """It may say what this one cannot read."""
    jobs = LocalWake()
    wake = OutboxWake(log.database.system_url, FixedClock(), jobs)
    async with running(wake), log.admin() as admin:
        await wake.wait(LONG_S)
        await jobs.wait(LONG_S)

        await admin.execute("NOTIFY rustok_outbox, 'jobs in another form'")

        assert (await wake.wait(LONG_S), await jobs.wait(LONG_S)) == (True, True)


async def test_without_a_commit_a_relay_waits_for_its_poll(log: Log) -> None:
    """The wait ends by itself: correctness never depends on a wake-up."""
    wake = OutboxWake(log.database.system_url, FixedClock())
    async with running(wake):
        await wake.wait(LONG_S)

        assert not await wake.wait(0.01)


async def test_a_relay_whose_connection_was_killed_is_woken_again(log: Log) -> None:
    """At once when the connection is back, for hints may have been missed; and then by every commit."""
    wake = OutboxWake(log.database.system_url, FixedClock())
    notifier = OutboxNotifier(log.database.app_url, FixedClock())
    async with running(wake, notifier), log.admin() as admin:
        await wake.wait(LONG_S)
        [killed] = await admin.fetch(_LISTENERS)

        await admin.execute("SELECT pg_terminate_backend($1)", killed["pid"])
        woken_by_the_connection = await wake.wait(LONG_S)
        notifier.committed()
        woken_by_a_commit = await wake.wait(LONG_S)

    assert (woken_by_the_connection, woken_by_a_commit) == (True, True)


async def test_a_notifier_whose_connection_was_killed_notifies_again(log: Log) -> None:
    """One hint may be lost with the connection; the next goes over a new one."""
    wake = OutboxWake(log.database.system_url, FixedClock())
    notifier = OutboxNotifier(log.database.app_url, FixedClock())
    async with running(wake, notifier), log.admin() as admin:
        await wake.wait(LONG_S)
        notifier.committed()
        await wake.wait(LONG_S)
        await admin.execute(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
            " WHERE datname = current_database() AND query LIKE 'SELECT pg_notify%'"
        )

        woken = await woken_by_one_of(notifier, wake, attempts=100)

    assert woken


async def test_a_notifier_without_a_server_goes_on() -> None:
    """A hint that cannot be sent is dropped: the relays poll."""
    clock = StopsAfter(sleeps=3)
    notifier = OutboxNotifier("postgresql://rustok_app:app@127.0.0.1:1/rustok", clock)
    clock.before_each_sleep = notifier.committed
    notifier.committed()

    with suppress(asyncio.CancelledError):
        await notifier.run()

    assert clock.sleeps == 0


class StopsAfter(FixedClock):
    """A clock that cancels whoever has slept often enough."""

    def __init__(self, sleeps: int) -> None:
        super().__init__()
        self.sleeps = sleeps
        self.before_each_sleep: Callable[[], None] = lambda: None

    async def sleep(self, seconds: float) -> None:
        self.before_each_sleep()
        self.sleeps -= 1
        if not self.sleeps:
            raise asyncio.CancelledError
        await super().sleep(seconds)


async def woken_by_one_of(notifier: OutboxNotifier, wake: OutboxWake, *, attempts: int) -> bool:
    """Say a few times that there are events; tell whether one of the hints arrived."""
    for _ in range(attempts):
        notifier.committed()
        if await wake.wait(0.1):
            return True
    return False
