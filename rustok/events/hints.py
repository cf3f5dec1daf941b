"""Who tells consumers that there is news: at once when there is little, coalesced when there is much."""

from collections.abc import Awaitable, Callable, Collection, Iterable, Mapping, Sequence
from datetime import datetime
from typing import Protocol

import structlog

from rustok.db.failures import is_transient
from rustok.kernel.errors import Unavailable
from rustok.kernel.event import matches
from rustok.kernel.ports import Clock, Signal

log = structlog.get_logger(__name__)

Send = Callable[[Sequence[str]], Awaitable[None]]
"""Wakes these consumers. It may raise Unavailable: the sweep comes back to them."""


class CoalescedHints:
    """Sends each consumer at most one hint per *interval_s*, and never keeps the sequencer waiting."""

    def __init__(
        self,
        subscriptions: Mapping[str, Sequence[str]],
        send: Send,
        clock: Clock,
        signal: Signal,
        interval_s: float = 0.01,
    ) -> None:
        self._subscriptions = subscriptions
        self._send = send
        self._clock = clock
        self._signal = signal
        self._interval_s = interval_s
        self._waiting: set[str] = set()

    def announce(self, types: Collection[str]) -> None:
        """Remember the consumers that subscribe to any of these types; the others have time."""
        self.add(
            consumer
            for consumer, patterns in self._subscriptions.items()
            if any(matches(pattern, event_type) for pattern in patterns for event_type in types)
        )

    def add(self, consumers: Iterable[str]) -> None:
        """Remember these consumers; those that this release does not have are left alone."""
        self._waiting.update(self._subscriptions.keys() & set(consumers))
        self._signal.wake()

    async def run(self) -> None:
        """Send until cancelled."""
        while True:
            await self._signal.wait(60.0)
            await self.run_once()
            await self._clock.sleep(self._interval_s)

    async def run_once(self) -> int:
        """Send what waits and return how many hints that were; a failed sending is left to the sweep."""
        waiting, self._waiting = sorted(self._waiting), set()
        if not waiting:
            return 0
        try:
            await self._send(waiting)
        except Unavailable as error:
            log.warning("hints_lost", count=len(waiting), reason=str(error))
            return 0
        return len(waiting)


class SweepStore(Protocol):
    async def behind(self, now: datetime) -> Collection[str]:
        """Return the consumers that have events to read, or parked aggregates that are due for a retry."""


class Sweep:
    """Hints again at what is behind, whatever became of earlier hints: so a lost one costs *interval_s*."""

    def __init__(self, store: SweepStore, hints: CoalescedHints, clock: Clock, interval_s: float = 1.0) -> None:
        self._store = store
        self._hints = hints
        self._clock = clock
        self._interval_s = interval_s

    async def run(self) -> None:
        """Sweep until cancelled. A failing server is waited for."""
        while True:
            try:
                await self.run_once()
            except Exception as error:
                if not is_transient(error):
                    raise
                log.warning("sweep_waited", reason=str(error))
            await self._clock.sleep(self._interval_s)

    async def run_once(self) -> int:
        """Hint at every consumer that is behind and return how many there are."""
        behind = await self._store.behind(self._clock.now())
        self._hints.add(behind)
        return len(behind)
