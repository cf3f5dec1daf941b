"""Who tells consumers that a shard has news: at once when there is little, coalesced when there is much."""

from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence

import structlog

from rustok.db.failures import is_transient
from rustok.events.sequencer import Sequenced
from rustok.events.store import PostgresConsumerStore
from rustok.kernel.errors import Unavailable
from rustok.kernel.event import matches
from rustok.kernel.ports import Clock
from rustok.runtime import LocalWake

log = structlog.get_logger(__name__)

Shard = tuple[str, int]
"""A consumer's name and a shard."""

Send = Callable[[Sequence[Shard]], Awaitable[None]]
"""Wakes the consumers of these shards. It may raise Unavailable: the sweep comes back to them."""


class CoalescedHints:
    """Sends each shard that moved at most once per *interval_s*, and never keeps the sequencer waiting."""

    def __init__(
        self, subscriptions: Mapping[str, Sequence[str]], send: Send, clock: Clock, interval_s: float = 0.01
    ) -> None:
        self._subscriptions = subscriptions
        self._send = send
        self._clock = clock
        self._interval_s = interval_s
        self._moved: set[Shard] = set()
        self._wake = LocalWake()

    async def shards_moved(self, moved: Sequence[Sequenced]) -> None:
        """Remember the shards for the consumers that subscribe to what they got; the others have time."""
        self.add(
            (consumer, batch.shard)
            for batch in moved
            for consumer, patterns in self._subscriptions.items()
            if any(matches(pattern, event_type) for pattern in patterns for event_type in batch.types)
        )

    def add(self, shards: Iterable[Shard]) -> None:
        """Remember these shards; those of a consumer that this release does not have are left alone."""
        self._moved.update(shard for shard in shards if shard[0] in self._subscriptions)
        self._wake.wake()

    async def run(self) -> None:
        """Send until cancelled."""
        while True:
            await self._wake.wait(60.0)
            await self.run_once()
            await self._clock.sleep(self._interval_s)

    async def run_once(self) -> int:
        """Send what has moved and return how many hints that were; a failed sending is left to the sweep."""
        moved, self._moved = sorted(self._moved), set()
        if not moved:
            return 0
        try:
            await self._send(moved)
        except Unavailable as error:
            log.warning("hints_lost", count=len(moved), reason=str(error))
            return 0
        return len(moved)


class Sweep:
    """Hints again at what is behind, whatever became of earlier hints: so a lost one costs *interval_s*."""

    def __init__(
        self, store: PostgresConsumerStore, hints: CoalescedHints, clock: Clock, interval_s: float = 1.0
    ) -> None:
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
        """Hint at every shard that is behind and return how many there are."""
        behind = await self._store.behind()
        self._hints.add(behind)
        return len(behind)
