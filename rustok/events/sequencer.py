"""The sequencer's loop: gives committed events their place in the log and wakes who is behind."""

from collections.abc import Collection
from dataclasses import dataclass
from typing import Protocol

import structlog

from rustok.db.failures import is_transient
from rustok.kernel.ports import Clock, Wake
from rustok.telemetry.metrics import SEQUENCED_EVENTS

log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class Sequenced:
    """What the log got in one batch."""

    events: int
    types: Collection[str]


class SequencerStore(Protocol):
    async def sequence(self, limit: int) -> Sequenced | None:
        """Move up to *limit* events from staging to the log; None if there are none, or another relay is at it."""

    async def raise_floor(self) -> None:
        """Let the next scans begin behind what is gone for good."""


class Hints(Protocol):
    """Where the sequencer says what came into the log. A hint may be lost; the sweep mends that."""

    def announce(self, types: Collection[str]) -> None:
        """Hint at the consumers that subscribe to any of these types."""


@dataclass(frozen=True, slots=True)
class SequencerConfig:
    batch: int = 1000
    poll_min_s: float = 0.01
    poll_max_s: float = 0.25
    floor_interval_s: float = 0.25
    failure_pause_s: float = 0.5


class Sequencer:
    """Polls quickly while there is work, backs off while there is none, and comes at once on a wake-up."""

    def __init__(self, config: SequencerConfig, store: SequencerStore, clock: Clock, wake: Wake, hints: Hints) -> None:
        self._config = config
        self._store = store
        self._clock = clock
        self._wake = wake
        self._hints = hints
        self._floor_due_s = self._calm_at_s = 0.0

    async def run(self) -> None:
        """Work until cancelled. A failing server is waited for."""
        pause_s = self._config.poll_min_s
        while True:
            try:
                count = await self.run_once()
            except Exception as error:
                if not is_transient(error):
                    raise
                log.warning("sequencer_waited", reason=str(error))
                await self._clock.sleep(self._config.failure_pause_s)
                continue
            if count >= self._config.batch:
                continue
            pause_s = self._config.poll_min_s if count else min(pause_s * 2, self._config.poll_max_s)
            if await self._wake.wait(pause_s):
                pause_s = self._config.poll_min_s

    async def run_once(self) -> int:
        """Sequence one batch and return how many events it had."""
        batch = await self._store.sequence(self._config.batch)
        if batch:
            SEQUENCED_EVENTS.inc(batch.events)
            self._hints.announce(batch.types)
            self._calm_at_s = self._clock.monotonic_s() + self._config.floor_interval_s
        await self._raise_floor()
        return batch.events if batch else 0

    async def _raise_floor(self) -> None:
        """Do so when it is due; soon after events, to which consumers have to come now, only when it is overdue."""
        now_s, interval_s = self._clock.monotonic_s(), self._config.floor_interval_s
        if now_s >= self._floor_due_s + (interval_s if now_s < self._calm_at_s else 0):
            await self._store.raise_floor()
            self._floor_due_s = self._clock.monotonic_s() + interval_s
