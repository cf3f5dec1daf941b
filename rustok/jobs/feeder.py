"""Tells workers which jobs are ready. It only hints: what a worker does with an id, PostgreSQL decides.

It writes nothing. What it has hinted at is kept in memory, a window a queue, until a worker has leased it or the
hint is so old that it must have been lost. While several tenants have work, each has a part of the window at most, so
that a hint never waits behind many of another tenant, and `Shares` says who may have the next one. Tenants with next
to nothing in flight have a lane of their own, whose threads in a worker no flood can hold.
"""

from collections import Counter, deque
from collections.abc import Awaitable, Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from math import ceil, inf
from typing import NamedTuple, Protocol
from uuid import UUID

import structlog

from rustok.db.failures import is_transient
from rustok.jobs.shares import Chosen, Shares, SharesConfig, Standing
from rustok.kernel.ports import Clock, MadeJob, Wake

log = structlog.get_logger(__name__)


_RATE_FOLLOWS_S = 0.25


class JobsMessage(NamedTuple):
    """A hint at jobs of a queue; an `express` one goes by the lane of those who have next to nothing in flight."""

    job_ids: Sequence[UUID]
    express: bool = False


SendJobs = Callable[[str, Sequence[JobsMessage]], Awaitable[None]]
"""Send messages to a queue. Raises Unavailable: whether they were sent is not known."""


@dataclass(frozen=True, slots=True)
class FeederConfig:
    ids_a_message: int = 100
    messages: int = 16
    """What is ready is spread over this many messages before one of them grows."""
    parts: int = 4
    """While several tenants have work, each has one of so many parts of the window at most."""
    messages_a_part: int = 2
    """Few: a hint waits for the messages ahead of it, whose jobs begin together."""
    window_s: float = 0.25
    """Who is alone has as many hints on their way as are taken up in this time, within the bounds of the window."""
    newcomers_s: float = 0.02
    """How often, at most, a window without much room is asked for tenants that are not in it. They may double it."""
    hint_lost_s: float = 5.0
    """A hint that nobody has taken up for this long is sent again."""
    busy_poll_s: float = 0.005
    idle_poll_s: float = 0.25


class Window(NamedTuple):
    """How many hints of a queue may be on their way: `most` where one tenant is alone and its jobs are quick."""

    least: int
    most: int


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


@dataclass(slots=True)
class _Queue:
    name: str
    window: Window
    shares: Shares
    hinted: dict[UUID, _Hint] = field(default_factory=dict)
    newcomers_due_s: float = -inf
    fed_s: float = -inf
    """When a hint at one of its jobs was sent last."""
    taken_a_second: float = 0.0
    counted_s: float = -inf

    def count_taken(self, now_s: float, taken: int) -> None:
        """Let the rate at which hints are taken up follow what has just been seen."""
        faded = min(1.0, (now_s - self.counted_s) / _RATE_FOLLOWS_S)
        self.taken_a_second += taken / _RATE_FOLLOWS_S - faded * self.taken_a_second
        self.counted_s = now_s


class Feeder:
    """*windows*: how many hints of a queue may be on their way at a time."""

    def __init__(
        self,
        config: FeederConfig,
        windows: Mapping[str, Window],
        *,
        store: ReadyJobs,
        send: SendJobs,
        clock: Clock,
        wake: Wake,
        made: deque[MadeJob] | None = None,
    ) -> None:
        """*made*: where jobs turn up that this process was told of."""
        self._config = config
        self._store = store
        self._send = send
        self._clock = clock
        self._wake = wake
        self._made = deque() if made is None else made
        self._queues = [_Queue(name, window, Shares(SharesConfig())) for name, window in windows.items()]

    async def run(self) -> None:
        """Feed until cancelled. A failing server, PostgreSQL or Redis, is waited for."""
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
        """Send a hint for what is ready and has none; return how many. Raises Unavailable.

        Where there was work last is where it is likely now: that queue does not wait for looks at the others.
        """
        sent = await self._pass_on()
        self._queues.sort(key=lambda queue: queue.fed_s, reverse=True)
        return sent + sum([await self._feed(queue) for queue in self._queues])

    async def _pass_on(self) -> int:
        """Hint, without a look, at jobs that this process was told of, where no hint of their tenant is on its way.

        Where one is, others may be before them. Whoever leases them sees whether they may begin.
        """
        made = [self._made.popleft() for _ in range(len(self._made))]
        sent = 0
        for queue in self._queues:
            hinted = self._hinted(queue)
            jobs = [(job.id, job.tenant_id) for job in made if job.queue == queue.name and job.tenant_id not in hinted]
            if jobs and self._has_room_for_newcomers(queue, hinted):
                sent += await self._hint(queue, await self._share(queue, jobs, hinted))
        return sent

    async def _feed(self, queue: _Queue) -> int:
        await self._forget_taken(queue)
        return await self._hint(queue, await self._choose(queue))

    async def _hint(self, queue: _Queue, jobs: Sequence[Chosen]) -> int:
        if not jobs:
            return 0
        await self._send(queue.name, self._messages(queue, jobs))
        queue.fed_s = now_s = self._clock.monotonic_s()
        queue.hinted.update({job.id: _Hint(job.tenant_id, now_s) for job in jobs})
        return len(jobs)

    async def _choose(self, queue: _Queue) -> Sequence[Chosen]:
        """Return what is to be hinted at."""
        window, now_s = self._window(queue), self._clock.monotonic_s()
        room = window - len(queue.hinted)
        hinted = self._hinted(queue)
        if 2 * room >= window:
            most_a_tenant = self._part(queue) if queue.shares.are_several else window
            ready = await self._store.ready(queue.name, queue.hinted.keys(), room, most_a_tenant)
        elif now_s >= queue.newcomers_due_s and self._has_room_for_newcomers(queue, hinted):
            # Of the others, few at a time would ask for the same ones again and again.
            first = await self._store.ready(queue.name, queue.hinted.keys(), len(hinted) + self._part(queue), 1)
            ready = [(job_id, tenant_id) for job_id, tenant_id in first if tenant_id not in hinted][: self._part(queue)]
            took_s = self._clock.monotonic_s() - now_s
            queue.newcomers_due_s = now_s + max(self._config.newcomers_s, 10 * took_s)
        else:
            return []
        return await self._share(queue, ready, hinted) if ready else []

    async def _share(
        self, queue: _Queue, ready: Sequence[tuple[UUID, UUID]], hinted: Mapping[UUID, int]
    ) -> Sequence[Chosen]:
        """Return those of *ready* whose turn it is, by what each tenant has *hinted* at and leased."""
        queue.shares.claim(self._clock.monotonic_s(), {tenant_id for _, tenant_id in ready} | hinted.keys())
        if not queue.shares.are_several:
            return [Chosen(job_id, tenant_id) for job_id, tenant_id in ready]
        queue.shares.charge(self._clock.monotonic_s(), await self._store.standings(queue.name))
        return queue.shares.choose(ready, hinted, self._part(queue))

    def _hinted(self, queue: _Queue) -> Mapping[UUID, int]:
        """Return how many hints of each tenant are on their way."""
        return Counter(hint.tenant_id for hint in queue.hinted.values())

    def _window(self, queue: _Queue) -> int:
        """Return how many hints of *queue* may be on their way now."""
        if queue.shares.are_several:
            return queue.window.least
        return min(max(queue.window.least, int(queue.taken_a_second * self._config.window_s)), queue.window.most)

    def _has_room_for_newcomers(self, queue: _Queue, hinted: Mapping[UUID, int]) -> bool:
        """Tell whether tenants that have no hints may have some. A flood's hints keep nobody out, however many."""
        return sum(min(hints, queue.window.least) for hints in hinted.values()) < 2 * queue.window.least

    def _part(self, queue: _Queue) -> int:
        return ceil(queue.window.least / self._config.parts)

    def _messages(self, queue: _Queue, jobs: Sequence[Chosen]) -> list[JobsMessage]:
        """Return what is to be sent: jobs spread over messages, by lane."""
        least = ceil(self._part(queue) / self._config.messages_a_part) if queue.shares.are_several else 1
        express = [job.id for job in jobs if job.is_among_first]
        others = [job.id for job in jobs if not job.is_among_first]
        return [
            *(JobsMessage(ids, express=True) for ids in self._spread(express, 1)),
            *(JobsMessage(ids) for ids in self._spread(others, least)),
        ]

    def _spread(self, ids: Sequence[UUID], least: int) -> Iterator[Sequence[UUID]]:
        """Share *ids* out among messages, each with *least* of them where there are as many."""
        size = min(self._config.ids_a_message, max(least, ceil(len(ids) / self._config.messages)))
        return (ids[start : start + size] for start in range(0, len(ids), size))

    async def _forget_taken(self, queue: _Queue) -> None:
        """Forget the hints that were taken up, those that come to nothing, and those that are to be sent again."""
        if not queue.hinted:
            queue.count_taken(self._clock.monotonic_s(), 0)
            return
        ready = await self._store.still_ready(queue.hinted)
        lost_before = self._clock.monotonic_s() - self._config.hint_lost_s
        taken = [job_id for job_id in queue.hinted if job_id not in ready]
        queue.count_taken(self._clock.monotonic_s(), len(taken))
        queue.shares.begun(Counter(queue.hinted.pop(job_id).tenant_id for job_id in taken))
        for job_id, may_begin in ready.items():
            if not may_begin:
                del queue.hinted[job_id]
        lost = [job_id for job_id, hint in queue.hinted.items() if hint.sent_s < lost_before]
        queue.shares.lost(self._clock.monotonic_s(), {queue.hinted.pop(job_id).tenant_id for job_id in lost})
