"""A process that can be killed, stopped and continued at any moment, and its clock."""

import asyncio
import random
from collections.abc import Callable, Coroutine
from datetime import UTC, datetime, timedelta
from typing import Any

from tests.chaos.simulator.timeline import ProcessLoop, Timeline

START = datetime(2026, 2, 1, 11, 59, 57, tzinfo=UTC)
"""Shortly before a minute ends: schedules are due at whole ones."""


class ProcessClock:
    """The world's time on this process's wall clock, which is a little wrong."""

    def __init__(self, timeline: Timeline, skew: timedelta) -> None:
        self._timeline = timeline
        self._start = START + skew

    def now(self) -> datetime:
        return self._start + timedelta(seconds=self._timeline.now_s)

    def monotonic_s(self) -> float:
        return self._timeline.now_s

    async def sleep(self, seconds: float) -> None:
        await asyncio.sleep(seconds)


class Process:
    """Runs *main* on an event loop of its own. *on_end* is called when it is dead, with what it raised, if it did."""

    def __init__(
        self,
        name: str,
        timeline: Timeline,
        chance: random.Random,
        on_end: Callable[["Process", BaseException | None], None],
    ) -> None:
        self.name = name
        self.is_dead = False
        self.clock = ProcessClock(timeline, timedelta(seconds=chance.uniform(-0.2, 0.2)))
        self.loop = ProcessLoop(name, timeline, self._end)  # type: ignore[abstract] # what is missing raises
        self.when_dead: list[Callable[[], None]] = []
        self.when_stopped: list[Callable[[], None]] = []
        self.on_sigterm: Callable[[], object] = self.kill
        self._on_end = on_end

    @property
    def is_stopped(self) -> bool:
        return self.loop.is_frozen and not self.is_dead

    def start(self, main: Coroutine[Any, Any, None]) -> None:
        task = self.spawn(main)
        task.add_done_callback(self._exit)
        self.on_sigterm = task.cancel

    def spawn(self, coroutine: Coroutine[Any, Any, Any]) -> asyncio.Task[Any]:
        return self.loop.create_task(coroutine)

    def kill(self) -> None:
        """SIGKILL: nothing of it runs any more."""
        self._end(None)

    def stop(self) -> None:
        """SIGSTOP. Its servers notice nothing but its silence."""
        if not self.is_dead and not self.is_stopped:
            self.loop.is_frozen = True
            for action in self.when_stopped:
                action()

    def resume(self) -> None:
        """SIGCONT."""
        if self.is_stopped:
            self.loop.thaw()

    def terminate(self) -> None:
        """SIGTERM, which a stopped process finds when it goes on."""
        self.loop.call_soon(self.on_sigterm)

    def bury(self) -> None:
        """Unwind the coroutines of a dead process, so that no `finally` block of theirs runs in the next schedule."""
        self.is_dead = True
        self.loop.is_frozen = False
        while self.loop.tasks:
            for task in list(self.loop.tasks):
                task.cancel()
            self.loop.run_ready()

    def _exit(self, main: asyncio.Task[None]) -> None:
        self._end(None if main.cancelled() else main.exception())

    def _end(self, error: BaseException | None) -> None:
        if not self.is_dead:
            self.is_dead = True
            self.loop.is_frozen = True
            for action in self.when_dead:
                action()
            self._on_end(self, error)
