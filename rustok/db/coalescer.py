"""Group commit: what arrives while a transaction is under way shares the next one."""

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable, Coroutine, Hashable, Sequence
from contextvars import Context
from copy import copy
from dataclasses import dataclass, field
from functools import partial
from typing import Any, Generic, NamedTuple, TypeVar

from rustok.kernel.errors import Unavailable

Job = TypeVar("Job")
Answer = TypeVar("Answer")


class RunApart(Exception):
    """A group was given up with nothing done: each of its jobs has to be run alone."""


class _Steadfast(asyncio.Future[Answer]):
    """Cancelling a task that waits for it takes effect when it is there."""

    def cancel(self, msg: Any | None = None) -> bool:  # noqa: ARG002 - asyncio's signature
        return False


class _Waiting(NamedTuple, Generic[Job, Answer]):
    job: Job
    answer: asyncio.Future[Answer]
    since_s: float


@dataclass(slots=True)
class _Lane(Generic[Job, Answer]):
    """The jobs of one kind that wait, and who runs them."""

    waiting: deque[_Waiting[Job, Answer]] = field(default_factory=deque)
    group: Sequence[_Waiting[Job, Answer]] = ()
    """Those that are being run."""
    worker: asyncio.Task[None] | None = None


class Coalescer(Generic[Job, Answer]):
    """Runs jobs of a kind in groups that grow with the load.

    A job that finds nothing running runs at once and alone. While a group of its kind is running, jobs wait and
    go together, up to *most* at a time, as soon as it has ended: nobody waits for a timer. One that has waited
    for longer than *patience_s*, or whose caller has gone, is not begun.

    Args:
        run_group: runs a group and returns each job's answer, or the error that is this job's own. It may raise
            RunApart. What else it raises is the whole group's, and that of all who wait behind it: they would
            meet the same.
        run_alone: runs one job of a group that was given up, beside the groups that follow.
        is_steadfast: a caller that is cancelled waits for its job all the same, and is cancelled then.

    """

    def __init__(
        self,
        run_group: Callable[[Sequence[Job]], Awaitable[Sequence[Answer | Exception]]],
        run_alone: Callable[[Job], Awaitable[Answer]],
        *,
        most: int,
        patience_s: float,
        is_steadfast: bool = False,
    ) -> None:
        self._run_group = run_group
        self._run_alone = run_alone
        self._most = most
        self._patience_s = patience_s
        self._future: type[asyncio.Future[Answer]] = _Steadfast if is_steadfast else asyncio.Future
        self._lanes: dict[Hashable, _Lane[Job, Answer]] = {}
        self._tasks: set[asyncio.Task[None]] = set()

    async def submit(self, kind: Hashable, job: Job) -> Answer:
        """Run *job* with others of its *kind* and return its answer, or raise its error.

        Raises:
            Unavailable: it waited for too long, and nothing was done.

        """
        loop = asyncio.get_running_loop()
        lane = self._lanes.setdefault(kind, _Lane())
        answer = self._future(loop=loop)
        lane.waiting.append(_Waiting(job, answer, loop.time()))
        if lane.worker is None:
            lane.worker = self._start(self._work(kind, lane))
            lane.worker.add_done_callback(lambda _: self._leave(kind, lane))
        return await answer

    def _start(self, work: Coroutine[Any, Any, None]) -> asyncio.Task[None]:
        # A context of its own: a group belongs to none of its callers.
        task = asyncio.create_task(work, context=Context())
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return task

    async def _work(self, kind: Hashable, lane: _Lane[Job, Answer]) -> None:
        while lane.waiting:
            lane.group = self._next_group(lane)
            if lane.group:
                await self._serve(lane, lane.group)
                lane.group = ()
        del self._lanes[kind]

    def _leave(self, kind: Hashable, lane: _Lane[Job, Answer]) -> None:
        """Give up those whose worker was cancelled, perhaps before it began; there are no others."""
        if self._lanes.get(kind) is lane:
            del self._lanes[kind]
        for left in (*lane.group, *lane.waiting):
            asyncio.Future.cancel(left.answer)

    def _next_group(self, lane: _Lane[Job, Answer]) -> list[_Waiting[Job, Answer]]:
        since_s = asyncio.get_running_loop().time() - self._patience_s
        group: list[_Waiting[Job, Answer]] = []
        while lane.waiting and len(group) < self._most:
            next_one = lane.waiting.popleft()
            if next_one.since_s < since_s:
                _settle(next_one, Unavailable("Too many writes of the tenant wait: repeat the call."))
            elif not next_one.answer.done():
                group.append(next_one)
        return group

    async def _serve(self, lane: _Lane[Job, Answer], group: Sequence[_Waiting[Job, Answer]]) -> None:
        try:
            answers = await self._run_group([member.job for member in group])
        except RunApart:
            for member in group:
                self._start(self._serve_alone(member)).add_done_callback(partial(_give_up, member.answer))
        except Exception as error:  # noqa: BLE001 - whatever it is, the callers must hear of it
            for member in (*group, *lane.waiting):
                _settle(member, _copy(error))
            lane.waiting.clear()
        else:
            for member, answer in zip(group, answers, strict=True):
                _settle(member, answer)

    async def _serve_alone(self, member: _Waiting[Job, Answer]) -> None:
        try:
            _settle(member, await self._run_alone(member.job))
        except Exception as error:  # noqa: BLE001 - whatever it is, the caller must hear of it
            _settle(member, error)


def _give_up(answer: asyncio.Future[Any], _ended: asyncio.Task[None]) -> None:
    """Let whoever waits for *answer*, if it has not come, wait no longer."""
    asyncio.Future.cancel(answer)


def _settle(member: _Waiting[Job, Answer], answer: Answer | Exception) -> None:
    if member.answer.done():  # its caller has gone
        return
    if isinstance(answer, Exception):
        member.answer.set_exception(answer)
    else:
        member.answer.set_result(answer)


def _copy(error: Exception) -> Exception:
    """Return *error* for one of its callers: raised in many tasks, it would collect the frames of all of them."""
    copied = copy(error)
    copied.__cause__ = error
    return copied
