"""NOTIFY and LISTEN, outside every transaction: they save a poll interval, and nothing depends on them.

A NOTIFY inside the writing transaction would cost 56 % of the commit rate at 16 clients: commits that notify
take a lock of the whole cluster, one after the other.
"""

import asyncio
from collections.abc import Callable, Sequence
from contextlib import suppress
from typing import NamedTuple, Self
from uuid import UUID

import asyncpg
import structlog

from rustok.events.outbox import CHANNEL
from rustok.kernel.ports import Clock, MadeJob, Signal
from rustok.runtime import LocalWake

log = structlog.get_logger(__name__)

_NOTIFY = "SELECT pg_notify($1, $2)"
_EVENTS, _JOBS, _BOTH = "events", "jobs", ""
"""What a notice is about."""
_MOST_TOLD = 16
"""Jobs in a notice, of 8,000 bytes at most. Where more are made at a time, whose turn it is has to be looked for."""
_CONNECT_TIMEOUT_S = 5.0
_REPLY_TIMEOUT_S = 5.0
_PROBE_INTERVAL_S = 10.0
# The last of them is what a connection raises between the server's farewell and its end.
_FAILURES = (OSError, TimeoutError, asyncpg.PostgresError, asyncpg.InterfaceError, asyncpg.InternalClientError)


class _Notice(NamedTuple):
    """What it is about, and some of the jobs that were made; another release takes them for news of both."""

    subject: str
    made: Sequence[MadeJob]

    def encode(self) -> str:
        return " ".join([self.subject, *(f"{job.queue},{job.id},{job.tenant_id}" for job in self.made)])

    @classmethod
    def decode(cls, text: str) -> Self:
        """Read a notice. One of another release is about anything."""
        try:
            subject, *jobs = text.split(" ")
            return cls(subject, [_made(job) for job in jobs])
        except ValueError:
            return cls(_BOTH, [])


def _made(text: str) -> MadeJob:
    queue, job_id, tenant_id = text.split(",")
    return MadeJob(queue, UUID(job_id), UUID(tenant_id))


class OutboxNotifier:
    """Tells the relays that this process has committed events or jobs: at most one NOTIFY per *interval_s*."""

    def __init__(self, url: str, clock: Clock, interval_s: float = 0.01) -> None:
        self._url = url
        self._clock = clock
        self._interval_s = interval_s
        self._wake = LocalWake()
        self._news: set[str] = set()
        self._made: list[MadeJob] = []
        self._connection: asyncpg.Connection | None = None

    def committed(self) -> None:
        """Say that events were committed; never blocks, never fails."""
        self._news.add(_EVENTS)
        self._wake.wake()

    def jobs_made(self, jobs: Sequence[MadeJob] = ()) -> None:
        """Say that jobs were, and which, as far as that is known; never blocks, never fails."""
        self._news.add(_JOBS)
        if len(self._made) <= _MOST_TOLD:
            self._made += jobs
        self._wake.wake()

    async def run(self) -> None:
        """Send until cancelled. While PostgreSQL is away nothing is sent: the relays poll."""
        try:
            while True:
                if await self._wake.wait(60.0):
                    await self._notify()
                    await self._clock.sleep(self._interval_s)
        finally:
            if self._connection is not None:
                self._connection.terminate()

    async def _notify(self) -> None:
        subject = self._news.pop() if len(self._news) == 1 else _BOTH
        notice = _Notice(subject, self._made if len(self._made) <= _MOST_TOLD else [])
        self._news, self._made = set(), []
        try:
            if self._connection is None or self._connection.is_closed():
                self._connection = await asyncpg.connect(self._url, timeout=_CONNECT_TIMEOUT_S)
            await self._connection.execute(_NOTIFY, CHANNEL, notice.encode(), timeout=_REPLY_TIMEOUT_S)
        except _FAILURES as error:
            log.info("notify_failed", reason=str(error))
            if self._connection is not None:
                self._connection.terminate()
            await self._clock.sleep(1.0)


class OutboxWake:
    """A relay's wake-up by events: a LISTEN connection that comes back by itself when it is lost."""

    def __init__(
        self,
        url: str,
        clock: Clock,
        jobs: Signal | None = None,
        on_made: Callable[[Sequence[MadeJob]], None] = lambda _jobs: None,
    ) -> None:
        """Make a wake-up; *jobs* is the signal that news of jobs gives to another loop of this process.

        *on_made* is told before which they are, where the notice says so.
        """
        self._url = url
        self._clock = clock
        self._wake = LocalWake()
        self._jobs = jobs or LocalWake()
        self._on_made = on_made

    async def wait(self, timeout_s: float) -> bool:
        return await self._wake.wait(timeout_s)

    async def run(self) -> None:
        """Listen until cancelled."""
        while True:
            with suppress(*_FAILURES):
                await self._listen()
            await self._clock.sleep(1.0)

    def _notified(self, text: str = _BOTH) -> None:
        notice = _Notice.decode(text)
        self._on_made(notice.made)
        if notice.subject != _JOBS:
            self._wake.wake()
        if notice.subject != _EVENTS:
            self._jobs.wake()

    async def _listen(self) -> None:
        lost = asyncio.Event()
        connection = await asyncpg.connect(self._url, timeout=_CONNECT_TIMEOUT_S)
        try:
            connection.add_termination_listener(lambda _connection: lost.set())
            await connection.add_listener(CHANNEL, lambda *notice: self._notified(notice[-1]))
            self._notified()
            while not lost.is_set():
                with suppress(TimeoutError):
                    async with asyncio.timeout(_PROBE_INTERVAL_S):
                        await lost.wait()
                # A server that froze, or whose network is gone, closes nothing: it has to be asked.
                await connection.execute("SELECT 1", timeout=_REPLY_TIMEOUT_S)
        finally:
            connection.terminate()
