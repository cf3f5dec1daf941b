"""What a worker does while Redis does not answer: it looks into PostgreSQL itself."""

import asyncio
from collections.abc import Awaitable, Callable, Collection, Mapping
from dataclasses import dataclass
from datetime import datetime
from functools import partial
from typing import Protocol

import structlog

from rustok.db.failures import describe, is_transient
from rustok.events.consumer import Consumer
from rustok.jobs.runner import JobRunner
from rustok.kernel.ports import Clock
from rustok.telemetry.metrics import REDIS_BYPASSED
from workers.actors import drain

log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class BypassConfig:
    after_s: float = 5.0
    """How long Redis may be away before anything is done about it: most outages are shorter."""
    poll_s: float = 0.5
    jobs_at_a_time: int = 16
    """Of each queue: what one worker holds, the others could be doing."""
    looks_a_queue: int = 4
    """How many times so many, where the first ones take long."""


class Checkpoints(Protocol):
    async def behind(self, now: datetime) -> Collection[str]:
        """Return the consumers that have something to do."""


class Bypass:
    """Redis carries hints and nothing else: what they hint at is found in PostgreSQL, a little later.

    *outage_s* tells for how long Redis has not answered, 0 while it does; *queues* whose jobs this worker can do now.
    """

    def __init__(
        self,
        config: BypassConfig,
        *,
        outage_s: Callable[[], float],
        consumers: Mapping[str, Consumer],
        checkpoints: Checkpoints,
        runner: JobRunner,
        queues: Callable[[], Collection[str]],
        clock: Clock,
    ) -> None:
        self._config = config
        self._outage_s = outage_s
        self._consumers = consumers
        self._checkpoints = checkpoints
        self._runner = runner
        self._queues = queues
        self._clock = clock
        self._under_way: dict[str, asyncio.Task[None]] = {}
        self._is_on = False

    async def run(self) -> None:
        """Watch, and work while Redis is away, until cancelled. What is under way then is cancelled, too."""
        try:
            while True:
                await self.run_once()
                await self._clock.sleep(self._config.poll_s)
        finally:
            for task in self._under_way.values():
                task.cancel()

    async def run_once(self) -> None:
        """Start what is to be done and not under way, if Redis has been away for long enough."""
        self._switch(is_on=self._outage_s() >= self._config.after_s)
        if not self._is_on:
            return
        self._start("consumers", self._start_consumers)
        for queue in self._queues():
            looks = (f"queue {queue} {number}" for number in range(self._config.looks_a_queue))
            if look := next((look for look in looks if look not in self._under_way), None):
                self._start(look, partial(self._work_on, queue))

    async def _start_consumers(self) -> None:
        behind = await self._checkpoints.behind(self._clock.now())
        for name, consumer in self._consumers.items():
            if name in behind:
                self._start(f"consumer {name}", partial(drain, consumer))

    def _switch(self, *, is_on: bool) -> None:
        if is_on != self._is_on:
            self._is_on = is_on
            REDIS_BYPASSED.set(is_on)
            log.warning("redis_bypassed" if is_on else "redis_used_again")

    async def _work_on(self, queue: str) -> None:
        """Do jobs of *queue* as long as there are many."""
        limit = self._config.jobs_at_a_time
        while self._outage_s() and await self._runner.work_on_ready(queue, limit) == limit:
            pass

    def _start(self, name: str, work: Callable[[], Awaitable[object]]) -> None:
        if name not in self._under_way:
            self._under_way[name] = asyncio.create_task(self._do(name, work))

    async def _do(self, name: str, work: Callable[[], Awaitable[object]]) -> None:
        try:
            await work()
        except Exception as error:
            log.warning("bypass_waited", what=name, reason=describe(error), exc_info=not is_transient(error))
        finally:
            del self._under_way[name]
