"""The cage of a worker: runs hooks and compiles them, in processes that can do nothing else."""

import asyncio
import sys
from collections.abc import AsyncIterator, Callable, Coroutine
from contextlib import asynccontextmanager
from dataclasses import dataclass
from types import TracebackType
from typing import Any, Self, TypeVar

from rustok.sandbox.compilation import LIMITS as COMPILE_LIMITS
from rustok.sandbox.compilation import compile_on
from rustok.sandbox.contract import Compiled, Fault, HostCall, Job, Limits, Outcome, Report, SandboxUnavailable
from rustok.sandbox.conversation import ChildLost, Conversation
from rustok.sandbox.fingerprint import MAGIC, POLICY_VERSION
from rustok.sandbox.layers import ALL_LAYERS, LAYERS
from rustok.sandbox.leased import Child
from rustok.sandbox.pool import Generation, Pool
from rustok.sandbox.selftest import rehearse, test_layers
from rustok.sandbox.watch import Figures, measure

_T = TypeVar("_T")

_ATTEMPTS = 3
_WATCH_S = 1.0


@dataclass(frozen=True, slots=True, kw_only=True)
class CageConfig:
    children: int = 4
    """Warm run children kept ready. Twice as many runs may be under way; further ones wait."""
    wait_s: float = 10.0
    """The longest wait for a child, and for a turn."""
    generation_s: float = 600.0
    generation_forks: int = 5000
    """When a zygote is replaced: all its children share one layout of addresses."""
    tree_rss_bytes: int = 2 << 30
    """More than this over all processes, and the zygotes are replaced: the backstop behind each child's own limit."""
    layers: frozenset[str] = ALL_LAYERS
    """What proofs take away."""
    unsafe_dev: bool = False
    """Run even where less than seccomp, rlimits and the CPU timer hold."""


class Cage:
    """One a worker process; it lives on one event loop.

    *observe* hears in a word what befell: child_lost, fork_failed, zygote_replaced, tree_too_large.
    """

    fingerprint = (POLICY_VERSION, MAGIC)
    """What `Compiled` must say of itself to fit."""

    def __init__(self, config: CageConfig, observe: Callable[[str], None] | None = None) -> None:
        self._config, self._observe = config, observe or (lambda _: None)
        generation = Generation(seconds=config.generation_s, forks=config.generation_forks)
        self._runs = Pool("run", Limits(), config.children, generation, self._observe)
        self._compilations = Pool("compile", COMPILE_LIMITS, 0, generation, self._observe)
        self._turns = asyncio.Semaphore(2 * config.children)
        self._compile_turns = asyncio.Semaphore(1)
        self._report = Report(level="none", layers=dict.fromkeys(LAYERS, False), detail="the cage has not started")
        self._watcher: asyncio.Task[None] | None = None
        self.figures = Figures()

    async def __aenter__(self) -> Self:
        await self.start()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.close()

    @property
    def report(self) -> Report:
        return self._report

    @property
    def zygote_pids(self) -> list[int]:
        """Of the launchers: each is above one tree of processes."""
        return [*self._runs.pids, *self._compilations.pids]

    async def start(self) -> Report:
        """Boot the zygote and try the layers. With level none nothing will run; this raises nothing for it."""
        wanted = self._config.layers if sys.platform == "linux" else frozenset[str]()
        try:
            zygote = await self._runs.zygote(wanted)
            self._report = await test_layers(zygote, wanted)
        except SandboxUnavailable as error:
            self._report = Report(level="none", layers=dict.fromkeys(LAYERS, False), detail=str(error))
            return self._report
        held = frozenset(layer for layer, holds in self._report.layers.items() if holds)
        if self._report.level == "none" and self._config.unsafe_dev:
            self._report = Report(level="unsafe-dev", layers=self._report.layers)
        if self._report.level != "none" and (fault := await rehearse(zygote, held)):
            self._report = Report(level="none", layers=self._report.layers, detail=f"a hook of ours failed: {fault}")
        if self._report.level != "none":
            self._runs.start(held)
            self._compilations.start(held)
            self._watcher = asyncio.create_task(self._watch())
        else:
            await self._runs.close()
        return self._report

    async def close(self) -> None:
        """End every process of the cage; runs under way end with `SandboxUnavailable`."""
        if self._watcher:
            self._watcher.cancel()
            await asyncio.gather(self._watcher, return_exceptions=True)
        self._report = Report(level="none", layers=self._report.layers, detail="the cage is closed")
        await asyncio.gather(self._runs.close(), self._compilations.close())

    async def run(self, job: Job, host_call: HostCall) -> Outcome:
        """Run *job* on a child of its own; again on another one where a child was lost for no fault of the script.

        What *host_call* raises besides `HostCallRefused` ends the run and is raised.

        Raises:
            SandboxUnavailable: no child could be had, or three were lost.
        """
        async with self._turn(self._turns):
            for _ in range(_ATTEMPTS):
                child = await self._lease(self._runs, job.limits)
                try:
                    return await Conversation(child, job, host_call).outcome()
                except ChildLost:
                    self._observe("child_lost")
        raise SandboxUnavailable("three children were lost")

    async def compile(self, source: str) -> Compiled | tuple[Fault, ...]:
        """Compile a hook, or tell every fault in the order of its lines.

        Raises:
            SandboxUnavailable: as for `run`.
        """
        async with self._turn(self._compile_turns):
            for _ in range(_ATTEMPTS):
                child = await self._lease(self._compilations, COMPILE_LIMITS)
                try:
                    return await compile_on(child, source)
                except ChildLost:
                    self._observe("child_lost")
        raise SandboxUnavailable("three children were lost")

    @asynccontextmanager
    async def _turn(self, turns: asyncio.Semaphore) -> AsyncIterator[None]:
        if turns.locked():
            await self._in_time(turns.acquire(), "too many runs wait for the cage")
        else:
            await turns.acquire()  # at once
        try:
            yield
        finally:
            turns.release()

    async def _lease(self, pool: Pool, limits: Limits) -> Child:
        if self._report.level == "none":
            raise SandboxUnavailable(f"scripts cannot run here: {self._report.detail or 'too few layers hold'}")
        if child := pool.take(limits):
            return child
        return await self._in_time(pool.lease(limits), "no child could be had")

    async def _in_time(self, wait: Coroutine[Any, Any, _T], complaint: str) -> _T:
        try:
            async with asyncio.timeout(self._config.wait_s):
                return await wait
        except TimeoutError:
            raise SandboxUnavailable(f"{complaint} within {self._config.wait_s} s") from None

    async def _watch(self) -> None:
        while True:
            self.figures = await asyncio.to_thread(measure, self.zygote_pids, self._runs.idle)
            if self.figures.rss_bytes > self._config.tree_rss_bytes:
                self._observe("tree_too_large")
                self._runs.replace()
                self._compilations.replace()
            await asyncio.sleep(_WATCH_S)
