"""One run of a piece of work for everybody who asks for its result at about the same time."""

import asyncio
from collections.abc import Callable, Coroutine
from contextvars import Context
from typing import Any, Generic, TypeVar

from rustok.kernel.ports import Clock

Result = TypeVar("Result")

FRESH_S = 1.0


class SingleFlight(Generic[Result]):
    """Runs *work*, unless a run is under way or began less than *fresh_s* ago: then its result serves again.

    A run goes on when those who asked for it have given up.
    """

    def __init__(self, work: Callable[[], Coroutine[Any, Any, Result]], clock: Clock, fresh_s: float = FRESH_S) -> None:
        self._work = work
        self._clock = clock
        self._fresh_s = fresh_s
        self._run: asyncio.Task[Result] | None = None
        self._began_s = 0.0

    async def __call__(self) -> Result:
        now_s = self._clock.monotonic_s()
        if self._run is None or (self._run.done() and now_s - self._began_s >= self._fresh_s):
            # A context of its own: what it logs belongs to none of those who ask.
            self._run, self._began_s = asyncio.create_task(self._work(), context=Context()), now_s
        return await asyncio.shield(self._run)
