"""Tells workers which jobs are ready. It only hints: what a worker does with an id, PostgreSQL decides.

It writes nothing. What it has hinted at is kept in memory, a window a queue, until a worker has leased it or the
hint is so old that it must have been lost.
"""

from collections.abc import Awaitable, Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol
from uuid import UUID

import structlog

from rustok.db.failures import is_transient
from rustok.kernel.errors import Unavailable
from rustok.kernel.ports import Clock, Wake

log = structlog.get_logger(__name__)

SendJobs = Callable[[str, Sequence[Sequence[UUID]]], Awaitable[None]]
"""Send messages to a queue, each with these job ids. It may raise Unavailable: the window repeats them."""


@dataclass(frozen=True, slots=True)
class FeederConfig:
    ids_a_message: int = 100
    messages: int = 8
    """What is ready is spread over this many messages before one of them grows."""
    hint_lost_s: float = 5.0
    """A hint that nobody has taken up for this long is sent again."""
    busy_poll_s: float = 0.005
    idle_poll_s: float = 0.25


class ReadyJobs(Protocol):
    async def ready(self, queue: str, except_ids: Collection[UUID], limit: int) -> Sequence[UUID]:
        """Return jobs that are due and not among *except_ids*, the most urgent first, in turns by tenant."""

    async def still_ready(self, ids: Collection[UUID]) -> set[UUID]:
        """Return those of *ids* that are still due: nobody has leased them, or put them off, since."""


class Feeder:
    """*windows*: how many hints of a queue may be on their way at a time."""

    def __init__(
        self,
        config: FeederConfig,
        windows: Mapping[str, int],
        *,
        store: ReadyJobs,
        send: SendJobs,
        clock: Clock,
        wake: Wake,
    ) -> None:
        self._config = config
        self._windows = windows
        self._store = store
        self._send = send
        self._clock = clock
        self._wake = wake
        self._hinted: dict[str, dict[UUID, float]] = {queue: {} for queue in windows}

    async def run(self) -> None:
        """Feed until cancelled. A failing server is waited for."""
        pause_s = self._config.idle_poll_s
        while True:
            await self._wake.wait(pause_s)
            try:
                sent = await self.run_once()
            except Exception as error:
                if not is_transient(error):
                    raise
                log.warning("feeder_waited", reason=str(error))
                await self._clock.sleep(1.0)
                continue
            is_waiting = any(self._hinted.values())
            pause_s = self._config.busy_poll_s if sent else 2 * pause_s if is_waiting else self._config.idle_poll_s
            pause_s = min(pause_s, self._config.idle_poll_s)

    async def run_once(self) -> int:
        """Send a hint for what is ready and has none; return how many."""
        return sum([await self._feed(queue, hinted) for queue, hinted in self._hinted.items()])

    async def _feed(self, queue: str, hinted: dict[UUID, float]) -> int:
        await self._forget_taken(hinted)
        room = self._windows[queue] - len(hinted)
        # Few at a time would ask for the same ones again and again.
        ids = await self._store.ready(queue, hinted.keys(), room) if 2 * room >= self._windows[queue] else []
        if not ids:
            return 0
        size = min(self._config.ids_a_message, -(-len(ids) // self._config.messages))
        try:
            await self._send(queue, [ids[start : start + size] for start in range(0, len(ids), size)])
        except Unavailable as error:
            log.warning("job_hints_lost", queue=queue, count=len(ids), reason=str(error))
        hinted |= dict.fromkeys(ids, self._clock.monotonic_s())
        return len(ids)

    async def _forget_taken(self, hinted: dict[UUID, float]) -> None:
        """Forget the hints that were taken up, and those that are old enough to be sent again."""
        if not hinted:
            return
        ready = await self._store.still_ready(hinted)
        lost_before = self._clock.monotonic_s() - self._config.hint_lost_s
        for job_id in [job_id for job_id, sent in hinted.items() if job_id not in ready or sent < lost_before]:
            del hinted[job_id]
