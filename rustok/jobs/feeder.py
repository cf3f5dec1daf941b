"""Tells workers which jobs are ready. It only hints: what a worker does with an id, PostgreSQL decides.

It writes nothing. What it has hinted at is kept in memory, a window a queue, until a worker has leased it or the
hint is so old that it must have been lost. While several tenants have work, each has a part of the window at most, so
that a hint never waits behind many of another tenant, and `Shares` says who may have the next one.
"""

from collections import Counter
from collections.abc import Awaitable, Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field
from math import ceil
from typing import NamedTuple, Protocol
from uuid import UUID

import structlog

from rustok.db.failures import is_transient
from rustok.jobs.shares import Shares, SharesConfig, Standing
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
    parts: int = 8
    """While several tenants have work, each has one of so many parts of the window at most."""
    messages_a_part: int = 2
    """Few: a hint waits for the messages ahead of it, whose jobs begin together."""
    hint_lost_s: float = 5.0
    """A hint that nobody has taken up for this long is sent again."""
    busy_poll_s: float = 0.005
    idle_poll_s: float = 0.25


class ReadyJobs(Protocol):
    async def ready(
        self, queue: str, except_ids: Collection[UUID], limit: int, limit_a_tenant: int
    ) -> Sequence[tuple[UUID, UUID]]:
        """Return jobs that may begin and are not *except_ids*, with their tenants, in turns, the most urgent first."""

    async def still_ready(self, ids: Collection[UUID]) -> Mapping[UUID, bool]:
        """Return those of *ids* that nobody has leased, or put off, since; and whether no pause or limit holds them."""

    async def standings(self, queue: str) -> Mapping[UUID, Standing]:
        """Return how many jobs each tenant has leased, and its weight; without those that have none, of weight 1."""


class _Hint(NamedTuple):
    tenant_id: UUID
    sent_s: float


@dataclass(frozen=True, slots=True)
class _Queue:
    name: str
    window: int
    shares: Shares
    hinted: dict[UUID, _Hint] = field(default_factory=dict)


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
        self._store = store
        self._send = send
        self._clock = clock
        self._wake = wake
        self._queues = [_Queue(name, window, Shares(SharesConfig())) for name, window in windows.items()]

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
            pause_s = self._config.busy_poll_s if sent else min(2 * pause_s, self._config.idle_poll_s)

    async def run_once(self) -> int:
        """Send a hint for what is ready and has none; return how many."""
        return sum([await self._feed(queue) for queue in self._queues])

    async def _feed(self, queue: _Queue) -> int:
        await self._forget_taken(queue)
        room = queue.window - len(queue.hinted)
        # Few at a time would ask for the same ones again and again.
        jobs = await self._choose(queue, room) if 2 * room >= queue.window else []
        if not jobs:
            return 0
        ids = [job_id for job_id, _ in jobs]
        size = self._size(queue, len(ids))
        try:
            await self._send(queue.name, [ids[start : start + size] for start in range(0, len(ids), size)])
        except Unavailable as error:
            log.warning("job_hints_lost", queue=queue.name, count=len(ids), reason=str(error))
        now_s = self._clock.monotonic_s()
        queue.hinted.update({job_id: _Hint(tenant_id, now_s) for job_id, tenant_id in jobs})
        return len(ids)

    async def _choose(self, queue: _Queue, room: int) -> Sequence[tuple[UUID, UUID]]:
        """Return what is to be hinted at, with its tenants."""
        shares = queue.shares
        most_a_tenant = self._part(queue) if shares.are_several else queue.window
        ready = await self._store.ready(queue.name, queue.hinted.keys(), room, most_a_tenant)
        if not ready:
            return []
        hinted = Counter(hint.tenant_id for hint in queue.hinted.values())
        shares.claim(self._clock.monotonic_s(), {tenant_id for _, tenant_id in ready} | hinted.keys())
        if not shares.are_several:
            return ready
        shares.charge(self._clock.monotonic_s(), await self._store.standings(queue.name))
        return shares.choose(ready, hinted, self._part(queue))

    def _part(self, queue: _Queue) -> int:
        return ceil(queue.window / self._config.parts)

    def _size(self, queue: _Queue, count: int) -> int:
        """Return how many ids a message has, where so many are sent."""
        least = ceil(self._part(queue) / self._config.messages_a_part) if queue.shares.are_several else 1
        return min(self._config.ids_a_message, max(least, ceil(count / self._config.messages)))

    async def _forget_taken(self, queue: _Queue) -> None:
        """Forget the hints that were taken up, those that come to nothing, and those that are to be sent again."""
        if not queue.hinted:
            return
        ready = await self._store.still_ready(queue.hinted)
        lost_before = self._clock.monotonic_s() - self._config.hint_lost_s
        taken = [job_id for job_id in queue.hinted if job_id not in ready]
        queue.shares.begun(Counter(queue.hinted.pop(job_id).tenant_id for job_id in taken))
        for job_id, may_begin in ready.items():
            if not may_begin:
                del queue.hinted[job_id]
        lost = [job_id for job_id, hint in queue.hinted.items() if hint.sent_s < lost_before]
        queue.shares.lost({queue.hinted.pop(job_id).tenant_id for job_id in lost})
