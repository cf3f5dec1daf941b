"""The cage of a worker: runs hooks and compiles them, in processes that can do nothing else."""

import asyncio
import sys
from collections.abc import AsyncIterator, Callable, Coroutine, Mapping, Sequence
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
from rustok.sandbox.selftest import examine, held_of
from rustok.sandbox.watch import Figures, excess, measure
from rustok.sandbox.zygote_client import Mode

_T = TypeVar("_T")

_ATTEMPTS = 3
_WATCH_S = 1.0
_FIRST_PAUSE_S, _LONGEST_PAUSE_S = 1.0, 60.0
"""Between attempts to find the level, where something could not be tried."""


@dataclass(frozen=True, slots=True, kw_only=True)
class CageConfig:
    children: int = 4
    """Warm run children kept ready. Twice as many runs may be under way; further ones wait."""
    wait_s: float = 10.0
    """The longest wait for a child, and for a turn."""
    generation_s: float = 600.0
    generation_forks: int = 5000
    """When a zygote is replaced: all its children share one layout of addresses."""
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
        self._runs, self._compilations = self._pool("run", Limits(), 0), self._pool("compile", COMPILE_LIMITS, 0)
        self._turns = asyncio.Semaphore(2 * config.children)
        self._compile_turns = asyncio.Semaphore(1)
        self._report = Report(level="none", layers=dict.fromkeys(LAYERS, False), detail="the cage has not started")
        self._watcher: asyncio.Task[None] | None = None
        self._recovery: asyncio.Task[None] | None = None
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
        """Boot the zygote and try the layers. With level none nothing will run; this raises nothing for it.

        Where that is for want of a trial, it is tried again and again behind; the report tells what came of it.
        """
        if not await self._begin():
            self._recovery = asyncio.create_task(self._recover())
        return self._report

    async def _begin(self) -> bool:
        """Find the level, and serve if it is enough; return whether it is known."""
        wanted = self._config.layers if sys.platform == "linux" else frozenset[str]()
        runs = self._pool("run", Limits(), self._config.children)
        try:
            found = await examine(lambda: runs.zygote(wanted), wanted, unsafe_dev=self._config.unsafe_dev)
        except BaseException:
            await runs.close()
            raise
        if found.report.level == "none":
            await runs.close()
        else:
            self._runs = runs
            self._runs.start(held_of(found.report))
            self._compilations.start(held_of(found.report))
            self._watcher = asyncio.create_task(self._watch())
        self._report = found.report
        return found.is_final

    async def _recover(self) -> None:
        pause_s = _FIRST_PAUSE_S
        while True:
            await asyncio.sleep(pause_s)
            if await self._begin():
                return
            pause_s = min(2 * pause_s, _LONGEST_PAUSE_S)

    def _pool(self, mode: Mode, usual: Limits, warm: int) -> Pool:
        config = self._config
        generation = Generation(seconds=config.generation_s, forks=config.generation_forks)
        return Pool(mode, usual, warm, generation, self._observe)

    async def close(self) -> None:
        """End every process of the cage; runs under way end with `SandboxUnavailable`."""
        for task in (self._recovery, self._watcher):  # in this order: the one starts the other
            if task:
                task.cancel()
                await asyncio.gather(task, return_exceptions=True)
        self._report = Report(level="none", layers=self._report.layers, detail="the cage is closed")
        await asyncio.gather(self._runs.close(), self._compilations.close())

    async def run(self, job: Job, host_call: HostCall) -> Outcome:
        """Run *job* on a child of its own; again on another one where a child was lost for no fault of the script.

        What *host_call* raises besides `HostCallRefused` ends the run and is raised.

        Raises:
            SandboxUnavailable: no child could be had, or three were lost.
        """
        async with self._turn(self._turns):
            losses = []
            for _ in range(_ATTEMPTS):
                child = await self._lease(self._runs, job.limits)
                try:
                    return await Conversation(child, job, host_call).outcome()
                except ChildLost as loss:
                    self._observe("child_lost")
                    losses.append(loss)
        return Outcome(fault=_given_up(losses))

    async def compile(self, source: str) -> Compiled | tuple[Fault, ...]:
        """Compile a hook, or tell every fault in the order of its lines.

        Raises:
            SandboxUnavailable: as for `run`.
        """
        async with self._turn(self._compile_turns):
            losses = []
            for _ in range(_ATTEMPTS):
                child = await self._lease(self._compilations, COMPILE_LIMITS)
                try:
                    return await compile_on(child, source)
                except ChildLost as loss:
                    self._observe("child_lost")
                    losses.append(loss)
        return (_given_up(losses),)

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
            held = await asyncio.to_thread(measure, self.zygote_pids)
            self.figures = Figures(processes=len(held), rss_bytes=sum(held.values()), idle=self._runs.idle)
            self._curb(held)
            await self._runs.tend()
            await self._compilations.tend()
            await asyncio.sleep(_WATCH_S)

    def _curb(self, held: Mapping[int, int]) -> None:
        """End the children that hold too much memory; where it is not theirs, the zygotes."""
        budgets = self._runs.budgets | self._compilations.budgets
        children = {pid: child for child in budgets if (pid := child.host_pid())}
        pids, more = excess(held, {pid: budgets[child] for pid, child in children.items()})
        for pid in pids:
            children[pid].end_overgrown()
        if more:
            self._runs.replace()
            self._compilations.replace()
        if pids or more:
            self._observe("tree_too_large")


def _given_up(losses: Sequence[ChildLost]) -> Fault:
    """Return the fault of work of which each child broke.

    Raises:
        SandboxUnavailable: some were lost otherwise.
    """
    faults = [loss.otherwise for loss in losses if loss.otherwise]
    if len(faults) < len(losses):
        raise SandboxUnavailable(f"{len(losses)} children were lost")
    return faults[-1]
