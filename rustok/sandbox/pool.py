"""Children kept ready, and the zygote that they come from: replaced when it dies, hangs or grows old."""

import asyncio
from collections import deque
from collections.abc import Callable, Collection
from contextlib import suppress
from dataclasses import dataclass

from rustok.sandbox.contract import Limits, SandboxUnavailable
from rustok.sandbox.leased import Child
from rustok.sandbox.zygote_client import Mode, Zygote

Observe = Callable[[str], None]
_FIRST_PAUSE_S, _LONGEST_PAUSE_S = 0.05, 2.0
_FORK_ATTEMPTS = 3
_QUIET_S = 0.02
"""How long the effects of a run that has just ended are given before forking takes a processor from them."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Generation:
    """How long a zygote serves: its children share its address space layout."""

    seconds: float
    forks: int


class Pool:
    """Of one mode. *warm* children for *usual* limits wait; for other limits one is forked when it is asked for."""

    def __init__(self, mode: Mode, usual: Limits, warm: int, generation: Generation, observe: Observe) -> None:
        self._mode: Mode = mode
        self._usual, self._warm, self._generation, self._observe = usual, warm, generation, observe
        self._layers: Collection[str] = ()
        self._zygotes: set[Zygote] = set()
        self._current: Zygote | None = None
        self._booting = asyncio.Lock()
        self._idle: deque[Child] = deque()
        self._queue: deque[asyncio.Future[Child]] = deque()
        """Runs that wait for a child: each one that arrives is for the first of them alone."""
        self._wanted = asyncio.Event()
        self._keeper: asyncio.Task[None] | None = None
        self._closed = False

    @property
    def idle(self) -> int:
        return sum(child.alive for child in self._idle)

    @property
    def pids(self) -> list[int]:
        return [zygote.pid for zygote in self._zygotes]

    @property
    def budgets(self) -> dict[Child, int]:
        """What the run of each child may use of memory: nothing, while it waits for one."""
        idle = set(self._idle)
        children = [child for zygote in self._zygotes for child in zygote.children]
        return {child: 0 if child in idle else child.memory_bytes for child in children}

    def start(self, layers: Collection[str]) -> None:
        """Begin to keep children ready, under these layers."""
        self._layers = layers
        if self._warm:
            self._wanted.set()
            self._keeper = asyncio.create_task(self._keep())

    async def zygote(self, layers: Collection[str]) -> Zygote:
        """Return the zygote of today, booting one if need be.

        Raises:
            SandboxUnavailable: none can be started, or it holds less than *layers* ask for, or the pool is closed.
        """
        async with self._booting:
            if self._closed:
                raise SandboxUnavailable("the cage is closed")
            if self._current is None or self._current.lost.is_set() or self._is_old(self._current):
                await self._replace(layers)
            assert self._current is not None  # noqa: S101 - for the type checker
            return self._current

    def take(self, limits: Limits) -> Child | None:
        """Return a child for one run that waits for it, if there is one."""
        while self._idle and self._is_usual(limits):
            child = self._idle.popleft()
            if not self._idle:
                self._wanted.set()  # whoever comes next would have to wait
            if child.is_there():
                return child
            child.discard()
        return None

    async def lease(self, limits: Limits) -> Child:
        """Return a child for one run. It waits as long as it takes.

        Raises:
            SandboxUnavailable: none can be had.
        """
        if not self._is_usual(limits):
            return await self._fork_at_last(limits)
        if child := self.take(limits):
            return child
        if self._closed:
            raise SandboxUnavailable("the cage is closed")
        place: asyncio.Future[Child] = asyncio.get_running_loop().create_future()
        self._queue.append(place)
        self._wanted.set()
        try:
            return await place
        except asyncio.CancelledError:
            if not place.cancelled() and place.exception() is None:
                self._offer(place.result())
            with suppress(ValueError):
                self._queue.remove(place)
            raise

    def _is_usual(self, limits: Limits) -> bool:
        usual = self._usual
        return self._warm > 0 and (limits.cpu_ms, limits.memory_bytes) == (usual.cpu_ms, usual.memory_bytes)

    async def _fork_at_last(self, limits: Limits) -> Child:
        """Fork again where a zygote or a child was lost on the way: that is no fault of whoever waits."""
        for _ in range(_FORK_ATTEMPTS - 1):
            try:
                return await self._fork(limits, hurry=True)
            except SandboxUnavailable:
                self._observe("fork_failed")
        return await self._fork(limits, hurry=True)

    def replace(self) -> None:
        """End all zygotes now; others take their place when they are needed."""
        for zygote in self._zygotes:
            zygote.kill()
        self._wanted.set()

    async def tend(self) -> None:
        """Bury zygotes that are lost, and replace one that is old though nobody forks."""
        await self._bury()
        if self._current is None or self._current.lost.is_set() or not self._is_old(self._current):
            return
        if self._keeper:
            self._wanted.set()
        else:
            self._observe("zygote_replaced")
            self._current.retire()
            self._current = None

    async def close(self) -> None:
        """End all processes, those too that are about to start; whoever waits for a child gets none."""
        self._closed = True
        for place in self._queue:
            if not place.done():
                place.set_exception(SandboxUnavailable("the cage is closed"))
        self._wanted.set()
        if self._keeper:
            self._keeper.cancel()
            await asyncio.gather(self._keeper, return_exceptions=True)
        async with self._booting:
            for child in self._idle:
                child.discard()
            await asyncio.gather(*(zygote.close() for zygote in self._zygotes))
            self._zygotes.clear()

    def _look_later(self) -> None:
        asyncio.get_running_loop().call_later(_QUIET_S, self._look)

    def _look(self) -> None:
        """Have the pool filled up once half of it is gone, and not before: forking takes a processor from the runs."""
        if self.idle <= self._warm // 2:
            self._wanted.set()

    async def _keep(self) -> None:
        """Fork what is missing whenever it is time."""
        pause_s = _FIRST_PAUSE_S
        while not self._closed:  # a task group forgets that it was cancelled when a fork fails at the same moment
            await self._wanted.wait()
            self._wanted.clear()
            self._drop([child for child in self._idle if not child.alive])
            try:
                await self._bury()
                zygote = await self.zygote(self._layers)
                stale = [child for child in self._idle if child not in zygote.children]
                waiting = len(self._queue)
                async with asyncio.TaskGroup() as tasks:
                    for number in range(self._warm - len(self._idle) + len(stale)):
                        tasks.create_task(self._add(hurry=number < waiting))
                self._drop(stale)
                pause_s = _FIRST_PAUSE_S
            except* SandboxUnavailable:
                self._observe("fork_failed")
                self._wanted.set()
                await asyncio.sleep(pause_s)
                pause_s = min(2 * pause_s, _LONGEST_PAUSE_S)

    def _drop(self, children: Collection[Child]) -> None:
        """Let go of those of *children* that still wait."""
        for child in children:
            with suppress(ValueError):
                self._idle.remove(child)
                child.discard()

    async def _add(self, *, hurry: bool) -> None:
        child = await self._fork(self._usual, hurry=hurry)
        child.when_gone(self._look_later)
        self._offer(child)

    def _offer(self, child: Child) -> None:
        """Give *child* to who has waited longest, or let it wait itself."""
        if self._closed:
            child.discard()
            return
        while self._queue:
            place = self._queue.popleft()
            if not place.done():  # else whoever waited has gone just now
                place.set_result(child)
                self._look()
                return
        self._idle.append(child)

    async def _fork(self, limits: Limits, *, hurry: bool) -> Child:
        zygote = await self.zygote(self._layers)
        return await zygote.fork(limits.cpu_ms, limits.memory_bytes, self._layers, hurry=hurry)

    def _is_old(self, zygote: Zygote) -> bool:
        return zygote.forks >= self._generation.forks or zygote.age_s >= self._generation.seconds

    async def _replace(self, layers: Collection[str]) -> None:
        await self._bury()
        fresh = await Zygote.boot(self._mode, layers)
        self._zygotes.add(fresh)
        if not fresh.held >= set(self._layers):
            fresh.kill()
            raise SandboxUnavailable("the zygote holds less than it did")
        if self._current:
            self._observe("zygote_replaced")
            self._current.retire()
        self._current = fresh

    async def _bury(self) -> None:
        """Wait for the ends of zygotes that are lost."""
        for zygote in [zygote for zygote in self._zygotes if zygote.lost.is_set()]:
            await zygote.close()
            self._zygotes.discard(zygote)
