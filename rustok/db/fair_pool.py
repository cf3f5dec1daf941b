"""A pool whose connections go to whoever has waited longest.

SQLAlchemy's own hands one that comes back to the first who asks, so that a latecomer overtakes those who wait, and
has whom it overtook wait at the end of the queue: under load some wait until they give up. As there, the place of one
that could not be opened goes to the next who asks.
"""

import asyncio
from collections import deque
from contextlib import suppress
from typing import Any

from sqlalchemy.pool import AsyncAdaptedQueuePool
from sqlalchemy.util import await_only
from sqlalchemy.util.queue import AsyncAdaptedQueue, Empty


class _FairQueue(AsyncAdaptedQueue[Any]):
    def __init__(self, maxsize: int = 0, use_lifo: bool = False) -> None:
        super().__init__(maxsize, use_lifo)
        self._waiting: deque[asyncio.Future[Any]] = deque()

    def put_nowait(self, item: Any) -> None:
        while self._waiting:
            waiter = self._waiting.popleft()
            if not waiter.done():
                waiter.set_result(item)
                return
        super().put_nowait(item)

    def get(self, block: bool = True, timeout: float | None = None) -> Any:
        if not self.empty():  # then nobody waits
            return self.get_nowait()
        if not block:
            raise Empty
        return await_only(self._wait(timeout))

    async def _wait(self, timeout_s: float | None) -> Any:
        waiter: asyncio.Future[Any] = asyncio.get_running_loop().create_future()
        self._waiting.append(waiter)
        try:
            async with asyncio.timeout(timeout_s):
                return await waiter
        except BaseException as error:
            if waiter.done() and not waiter.cancelled():  # it came too late
                self.put_nowait(waiter.result())
            with suppress(ValueError):  # it may have been taken out
                self._waiting.remove(waiter)
            if isinstance(error, TimeoutError):
                raise Empty from error
            raise


class FairPool(AsyncAdaptedQueuePool):
    """First come, first served. Use as `poolclass` of an asyncio engine."""

    _queue_class = _FairQueue
