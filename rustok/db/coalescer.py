"""Group commit: what arrives while a transaction is under way shares the next one."""

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable, Hashable, Sequence
from contextvars import Context
from dataclasses import dataclass, field
from typing import Generic, TypeVar

Job = TypeVar("Job")
Answer = TypeVar("Answer")


@dataclass(slots=True)
class _Lane(Generic[Job, Answer]):
    """The jobs of one kind that wait, and who runs them."""

    waiting: deque[tuple[Job, asyncio.Future[Answer]]] = field(default_factory=deque)
    worker: asyncio.Task[None] | None = None


class Coalescer(Generic[Job, Answer]):
    """Runs jobs of a kind in groups that grow with the load.

    A job that finds nothing running runs at once and alone. While a group of its kind is running, jobs wait and
    go together, up to *most* at a time, as soon as it has ended: nobody waits for a timer.

    Args:
        run: runs a group and returns each job's answer, or the error that is this job's own. What it raises is
            the whole group's, and that of all who wait behind it: they would meet the same.

    """

    def __init__(self, run: Callable[[Sequence[Job]], Awaitable[Sequence[Answer | Exception]]], *, most: int) -> None:
        self._run = run
        self._most = most
        self._lanes: dict[Hashable, _Lane[Job, Answer]] = {}

    async def submit(self, kind: Hashable, job: Job) -> Answer:
        """Run *job* with others of its *kind* and return its answer, or raise its error."""
        lane = self._lanes.setdefault(kind, _Lane())
        answer: asyncio.Future[Answer] = asyncio.get_running_loop().create_future()
        lane.waiting.append((job, answer))
        if lane.worker is None:
            # A context of its own: a group belongs to none of its callers.
            lane.worker = asyncio.create_task(self._work(kind, lane), context=Context())
        return await answer

    async def _work(self, kind: Hashable, lane: _Lane[Job, Answer]) -> None:
        while lane.waiting:
            group = [lane.waiting.popleft() for _ in range(min(len(lane.waiting), self._most))]
            try:
                answers: Sequence[Answer | Exception] = await self._run([job for job, _ in group])
            except Exception as error:  # noqa: BLE001 - whatever it is, the callers must hear of it
                group += lane.waiting
                lane.waiting.clear()
                answers = [error] * len(group)
            for (_, future), answer in zip(group, answers, strict=True):
                _settle(future, answer)
        del self._lanes[kind]


def _settle(future: asyncio.Future[Answer], answer: Answer | Exception) -> None:
    if future.done():  # its caller has gone
        return
    if isinstance(answer, Exception):
        future.set_exception(answer)
    else:
        future.set_result(answer)
