"""Virtual time, and the event loop that each simulated process has."""

import asyncio
from collections import deque
from collections.abc import Callable, Coroutine, Generator
from contextvars import Context
from functools import partial
from heapq import heappop, heappush
from itertools import count
from typing import Any, TypeVar, TypeVarTuple

Answer = TypeVar("Answer")
Arguments = TypeVarTuple("Arguments")

_CALLBACKS_A_MOMENT = 20_000
"""A process that does more without letting time pass goes round in circles."""


class Timeline:
    """What will happen, in the order of its time. Nobody waits: time jumps to what comes next."""

    def __init__(self) -> None:
        self.now_s = 0.0
        self._due: list[tuple[float, int, Callable[[], None]]] = []
        self._numbers = count()

    def at(self, when_s: float, action: Callable[[], None]) -> None:
        heappush(self._due, (max(when_s, self.now_s), next(self._numbers), action))

    def after(self, delay_s: float, action: Callable[[], None]) -> None:
        self.at(self.now_s + delay_s, action)

    def run_until(self, when_s: float) -> None:
        """Let everything happen that is due by then."""
        while self._due and self._due[0][0] <= when_s:
            self.now_s, _, action = heappop(self._due)
            action()
        self.now_s = when_s


class Spinning(Exception):
    """A process works on and on while no time passes."""


class ProcessLoop(asyncio.AbstractEventLoop):
    """Runs callbacks in the order in which they came, as asyncio's own loops do; only time is another.

    While it `is_frozen` nothing runs: of a stopped process for a while, of a dead one for ever, so that not even
    its `finally` blocks do.
    """

    def __init__(self, name: str, timeline: Timeline, on_defect: Callable[[BaseException], None]) -> None:
        self.name = name
        self.is_frozen = False
        self.tasks: dict[asyncio.Task[Any], None] = {}
        self._timeline = timeline
        self._on_defect = on_defect
        self._ready: deque[asyncio.Handle] = deque()
        self._is_running = False
        self._numbers = count()

    def run_ready(self) -> None:
        """Run what is ready, and what becomes ready by that."""
        if self.is_frozen or self._is_running:
            return
        outer = asyncio._get_running_loop()
        asyncio._set_running_loop(self)
        self._is_running = True
        try:
            for _ in range(_CALLBACKS_A_MOMENT):
                if not self._ready or self.is_frozen:
                    return
                handle = self._ready.popleft()
                if not handle.cancelled():
                    handle._run()
            raise Spinning(f"{_CALLBACKS_A_MOMENT} callbacks at {self._timeline.now_s:.3f} s")
        finally:
            self._is_running = False
            asyncio._set_running_loop(outer)

    def thaw(self) -> None:
        self.is_frozen = False
        self._timeline.after(0, self.run_ready)

    def call_soon(
        self, callback: Callable[[*Arguments], object], *args: *Arguments, context: Context | None = None
    ) -> asyncio.Handle:
        handle = asyncio.Handle(callback, args, self, context)
        self._ready.append(handle)
        if not self._is_running:
            self._timeline.after(0, self.run_ready)
        return handle

    def call_later(
        self, delay: float, callback: Callable[[*Arguments], object], *args: *Arguments, context: Context | None = None
    ) -> asyncio.TimerHandle:
        return self.call_at(self.time() + delay, callback, *args, context=context)

    def call_at(
        self, when: float, callback: Callable[[*Arguments], object], *args: *Arguments, context: Context | None = None
    ) -> asyncio.TimerHandle:
        handle = asyncio.TimerHandle(when, callback, args, self, context)
        self._timeline.at(when, partial(self._fire, handle))
        return handle

    def call_now(self, callback: Callable[[*Arguments], object], *args: *Arguments) -> None:
        """Let something from outside, an answer or a signal, reach the process."""
        self._ready.append(asyncio.Handle(callback, args, self))
        self.run_ready()

    def _fire(self, handle: asyncio.TimerHandle) -> None:
        if not handle.cancelled():
            self._ready.append(handle)
            self.run_ready()

    def _timer_handle_cancelled(self, handle: asyncio.TimerHandle) -> None:
        """Know that a timer is not wanted any more; it is passed over when its time comes."""

    def create_future(self) -> asyncio.Future[Any]:
        return asyncio.Future(loop=self)

    def create_task(
        self,
        coro: Generator[Any, None, Answer] | Coroutine[Any, Any, Answer],
        *,
        name: object = None,
        context: Context | None = None,
    ) -> asyncio.Task[Answer]:
        task: asyncio.Task[Answer] = _NumberedTask(next(self._numbers), coro, self, name, context)
        self.tasks[task] = None
        task.add_done_callback(self._forget)
        return task

    def _forget(self, task: asyncio.Task[Any]) -> None:
        del self.tasks[task]

    def time(self) -> float:
        return self._timeline.now_s

    def get_debug(self) -> bool:
        return False

    def is_running(self) -> bool:
        return self._is_running

    def is_closed(self) -> bool:
        return False

    def call_exception_handler(self, context: dict[str, Any]) -> None:
        self._on_defect(context.get("exception") or RuntimeError(context["message"]))


class _NumberedTask(asyncio.Task[Answer]):
    """A set of tasks has the same order in every run of a seed: the hash is no address."""

    def __init__(
        self, number: int, coro: Any, loop: asyncio.AbstractEventLoop, name: object, context: Context | None
    ) -> None:
        self._number = number
        super().__init__(coro, loop=loop, name=str(name or number), context=context)

    def __hash__(self) -> int:
        return self._number
