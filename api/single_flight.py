"""One run of a piece of work for everybody who asks for its result at about the same time, or for a while."""

import asyncio
from collections import OrderedDict
from collections.abc import Callable, Coroutine, Hashable
from contextvars import Context
from typing import Any, Generic, NamedTuple, TypeVar

from rustok.kernel.ports import Clock

Key = TypeVar("Key", bound=Hashable)
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


class _Look(NamedTuple):
    task: "asyncio.Task[Any]"
    began_s: float
    is_fresh: bool

    @property
    def has_failed(self) -> bool:
        return self.task.done() and (self.task.cancelled() or self.task.exception() is not None)


class LookUps(Generic[Key, Result]):
    """Looks things up by key, each for all who ask for it meanwhile, and remembers what was found.

    What *look* returned is remembered for *kept_s* of it, in seconds from the beginning of the look; what it raised is
    not. At most *most* things are: those go that nobody has asked for for the longest time.
    """

    def __init__(
        self,
        look: Callable[[Key], Coroutine[Any, Any, Result]],
        clock: Clock,
        kept_s: Callable[[Result], float],
        most: int,
    ) -> None:
        self._look = look
        self._clock = clock
        self._kept_s = kept_s
        self._most = most
        self._looks: OrderedDict[Key, _Look] = OrderedDict()

    async def __call__(self, key: Key, *, fresh: bool = False) -> Result:
        """Return what *key* stands for; with *fresh* as it is now, and not as it is remembered."""
        look = self._looks.pop(key, None)
        if look is None or not self._serves(look, fresh=fresh):
            task = asyncio.create_task(self._look(key), context=Context())
            look = _Look(task, self._clock.monotonic_s(), fresh)
        self._looks[key] = look
        if len(self._looks) > self._most:
            self._looks.popitem(last=False)
        result: Result = await asyncio.shield(look.task)
        return result

    def _serves(self, look: _Look, *, fresh: bool) -> bool:
        if not look.task.done():
            return look.is_fresh or not fresh
        if fresh or look.has_failed:
            return False
        return self._clock.monotonic_s() - look.began_s < self._kept_s(look.task.result())
