"""NOTIFY and LISTEN, outside every transaction: they save a poll interval, and nothing depends on them.

A NOTIFY inside the writing transaction would cost 56 % of the commit rate at 16 clients: commits that notify
take a lock of the whole cluster, one after the other.
"""

import asyncio
from collections.abc import Sequence
from contextlib import suppress

import asyncpg
import structlog

from rustok.events.outbox import CHANNEL
from rustok.kernel.ports import Clock, Signal
from rustok.runtime import LocalWake

log = structlog.get_logger(__name__)

_CONNECT_TIMEOUT_S = 5.0
_REPLY_TIMEOUT_S = 5.0
_PROBE_INTERVAL_S = 10.0
# The last of them is what a connection raises between the server's farewell and its end.
_FAILURES = (OSError, TimeoutError, asyncpg.PostgresError, asyncpg.InterfaceError, asyncpg.InternalClientError)


class OutboxNotifier:
    """Tells the relays that this process has committed events: at most one NOTIFY per *interval_s*."""

    def __init__(self, url: str, clock: Clock, interval_s: float = 0.01) -> None:
        self._url = url
        self._clock = clock
        self._interval_s = interval_s
        self._wake = LocalWake()
        self._connection: asyncpg.Connection | None = None

    def committed(self) -> None:
        """Say that events were committed; never blocks, never fails."""
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
        try:
            if self._connection is None or self._connection.is_closed():
                self._connection = await asyncpg.connect(self._url, timeout=_CONNECT_TIMEOUT_S)
            await self._connection.execute(f"NOTIFY {CHANNEL}", timeout=_REPLY_TIMEOUT_S)
        except _FAILURES as error:
            log.info("notify_failed", reason=str(error))
            if self._connection is not None:
                self._connection.terminate()
            await self._clock.sleep(1.0)


class OutboxWake:
    """A relay's wake-up: a LISTEN connection that comes back by itself when it is lost."""

    def __init__(self, url: str, clock: Clock, others: Sequence[Signal] = ()) -> None:
        """Make a wake-up; *others* are the signals of loops of this process that it wakes as well."""
        self._url = url
        self._clock = clock
        self._wake = LocalWake()
        self._signals = (self._wake, *others)

    async def wait(self, timeout_s: float) -> bool:
        return await self._wake.wait(timeout_s)

    async def run(self) -> None:
        """Listen until cancelled."""
        while True:
            with suppress(*_FAILURES):
                await self._listen()
            await self._clock.sleep(1.0)

    def _notified(self) -> None:
        for signal in self._signals:
            signal.wake()

    async def _listen(self) -> None:
        lost = asyncio.Event()
        connection = await asyncpg.connect(self._url, timeout=_CONNECT_TIMEOUT_S)
        try:
            connection.add_termination_listener(lambda _connection: lost.set())
            await connection.add_listener(CHANNEL, lambda *_arguments: self._notified())
            self._notified()
            while not lost.is_set():
                with suppress(TimeoutError):
                    async with asyncio.timeout(_PROBE_INTERVAL_S):
                        await lost.wait()
                # A server that froze, or whose network is gone, closes nothing: it has to be asked.
                await connection.execute("SELECT 1", timeout=_REPLY_TIMEOUT_S)
        finally:
            connection.terminate()
