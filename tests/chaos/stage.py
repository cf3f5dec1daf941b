"""Where a scenario plays: real servers and processes to be harmed, and clients that write all the while."""

import re
import threading
import time
from collections.abc import Callable, Coroutine, Iterator, Mapping
from concurrent.futures import Future
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any, TypeVar
from uuid import UUID

import asyncpg
import httpx2
from sqlalchemy import text
from sqlalchemy.exc import DBAPIError

from rustok.cli.supervisor import Supervisor
from rustok.db.transaction import run_alone
from rustok.embedded import PostgresServer, RedisServer
from rustok.testing import PlatformUnderTest
from tests.chaos.clients import Clients
from tests.chaos.evidence import COME_AGAIN
from tests.chaos.peaks import Peaks
from tests.chaos.proxy import FaultProxy
from workers.event_loop import EventLoopThread

Answer = TypeVar("Answer")
Seen = TypeVar("Seen")
Wait = Callable[[Callable[[], object]], object]
"""Returns as soon as something holds: `Stage.until`, or what looks after more than that meanwhile."""

PATIENCE_S = 3600.0
"""Longer than anything takes at full scale; what takes longer hangs."""
_LOOK_S = 0.02
_SAMPLE_S = 1.0
_AWAY = (DBAPIError, OSError, asyncpg.PostgresError, asyncpg.InterfaceError)

_OUTBOX = text("SELECT count(*) AS rows FROM outbox")
_IS_IDLE = text(
    """
    SELECT NOT EXISTS (SELECT FROM outbox)
       AND NOT EXISTS (SELECT FROM jobs WHERE state = 'leased' OR state = 'ready' AND (:retries OR attempts = 0))
       AND NOT EXISTS (
           SELECT FROM checkpoints AS c CROSS JOIN LATERAL (
                  SELECT FROM event_log AS e WHERE e.shard = c.shard AND e.position > c.position LIMIT 1) AS unread)
       AS is_idle
    """
)


@dataclass(slots=True)
class Stage:
    """The main thread plays the faults and replaces what dies; clients and questions run on a loop of their own."""

    postgres: PostgresServer
    redis: RedisServer
    proxies: Mapping[str, FaultProxy]
    platform: PlatformUnderTest
    processes: Supervisor
    clients: Clients
    hooks: Mapping[UUID, UUID]
    loop: EventLoopThread
    metrics_ports: Mapping[str, int]
    """Where each relay and each worker tells its metrics."""
    peaks: Peaks = field(default_factory=Peaks)
    longest_settle_s: float = 0.0
    _writing: "Future[None] | None" = None
    _sampled_s: float = 0.0

    def counted(self, counter: re.Pattern[str]) -> int:
        """Return what the workers have counted since they began: the sum of what *counter* finds in their metrics."""
        ports = [port for name, port in self.metrics_ports.items() if name.startswith("worker")]
        metrics = (httpx2.get(f"http://127.0.0.1:{port}/metrics").text for port in ports)
        return sum(int(float(count)) for each in metrics for count in counter.findall(each))

    def begin(self, coroutine: Coroutine[Any, Any, Answer]) -> "Future[Answer]":
        """Start *coroutine* on the loop."""
        future: Future[Answer] = Future()

        async def run() -> None:
            try:
                future.set_result(await coroutine)
            except BaseException as error:  # noqa: BLE001 - whoever asks for the result gets it
                future.set_exception(error)

        self.loop.start(run())
        return future

    def ask(self, statement: Any, parameters: Mapping[str, Any] | None = None) -> Any:
        """Return the one row that PostgreSQL answers, None while it is away."""
        try:
            return self.loop.run(run_alone(self.platform.system_engine, statement, parameters)).one()
        except _AWAY:
            self.loop.run(self.platform.system_engine.dispose())
            return None

    def until(self, holds: Callable[[], object], within_s: float = PATIENCE_S) -> float:
        """Return how many seconds it took until *holds* did; what dies meanwhile is replaced.

        Raises:
            TimeoutError: it did not.
            Exception: clients met what they do not expect.

        """
        started_s, tick = time.monotonic(), threading.Event()
        while not holds():
            if time.monotonic() - started_s > within_s:
                raise TimeoutError(f"did not come true within {within_s:.0f} s")
            if self._writing and self._writing.done():
                self._writing.result()
            self.processes.replace_ended()
            self._sample()
            tick.wait(_LOOK_S)
        return time.monotonic() - started_s

    def pass_time(self, seconds: float) -> None:
        """Let *seconds* pass."""
        end_s = time.monotonic() + seconds
        self.until(lambda: time.monotonic() >= end_s, seconds + PATIENCE_S)

    def write(self, count: int, **how: Any) -> "Future[None]":
        """Begin to have *count* products written, as `Clients.write` does."""
        self._writing = self.begin(self.clients.write(count, **how))
        return self._writing

    @contextmanager
    def load(self, *, at_once: int = 4, pause_s: float = 0.05) -> Iterator[None]:
        """Have clients write all the while: at most *at_once* / *pause_s* products a second."""
        is_over = threading.Event()
        self._writing = writing = self.begin(self.clients.write_until(is_over.is_set, at_once=at_once, pause_s=pause_s))
        try:
            yield
        finally:
            is_over.set()
        self.finish(writing)

    def until_answered(self, more: int) -> float:
        """Return how long it took until *more* writes were answered 2xx."""
        enough = len(self.clients.answered_s) + more
        return self.until(lambda: len(self.clients.answered_s) >= enough)

    def until_put_off(self, more: int) -> float:
        """Return how long it took until clients were told to come again *more* times."""
        enough = self.clients.answers[COME_AGAIN] + more
        return self.until(lambda: self.clients.answers[COME_AGAIN] >= enough)

    def finish(self, writing: "Future[None]") -> None:
        """Wait until all that was begun is answered. Raises as `until` does."""
        self.until(writing.done)
        writing.result()

    def settle(self, *, retries: bool = True) -> float:
        """Return after how many seconds nothing is left to do; without *retries*, but what has failed before.

        The longest of these times is what a scenario is judged by.
        """
        settled_s = self.until(lambda: self._is_idle(retries=retries))
        self.longest_settle_s = max(self.longest_settle_s, settled_s)
        return settled_s

    def _is_idle(self, *, retries: bool) -> bool:
        row = self.ask(_IS_IDLE, {"retries": retries})
        return row is not None and bool(row.is_idle)

    def _sample(self) -> None:
        if time.monotonic() - self._sampled_s < _SAMPLE_S:
            return
        self._sampled_s = time.monotonic()
        self.peaks.see_processes(self.processes.pids)
        self.peaks.see_redis(self.redis.url)
        if row := self.ask(_OUTBOX):
            self.peaks.see_outbox(row.rows)


def look_for(
    look: Callable[[], Seen], until: Wait, *, within_s: float, suffices: Callable[[Seen], object] = bool
) -> Seen:
    """Return what *look* sees as soon as it *suffices*, after *within_s* also what does not."""
    end_s = time.monotonic() + within_s
    seen: list[Seen] = []

    def has_seen() -> object:
        seen.append(look())
        return suffices(seen[-1]) or time.monotonic() > end_s

    until(has_seen)
    return seen[-1]


def answers(url: str) -> bool:
    """Tell whether whoever should be at *url* is there, and content."""
    try:
        # Without certificates, which are read anew for each call: 45 ms of a processor.
        return httpx2.get(url, verify=False).status_code == 200
    except httpx2.TransportError:
        return False
