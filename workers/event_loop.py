"""The one event loop of a worker process, on a thread of its own; Dramatiq's threads hand coroutines to it.

Not Dramatiq's AsyncIO middleware: with it a SIGTERM to the process group hung.
"""

import asyncio
import threading
from collections.abc import Callable, Coroutine
from typing import Any, Self, TypeVar

import structlog
import uvloop

log = structlog.get_logger(__name__)

Answer = TypeVar("Answer")


class EventLoopThread:
    """Use as a context manager; on leaving, what still runs is cancelled and waited for."""

    def __init__(self) -> None:
        self._loop = uvloop.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name="event-loop", daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def run(self, coroutine: Coroutine[Any, Any, Answer]) -> Answer:
        """Run *coroutine* on the loop and return its answer, or raise its error, in the calling thread."""
        return asyncio.run_coroutine_threadsafe(coroutine, self._loop).result()

    def start(self, coroutine: Coroutine[Any, Any, object]) -> None:
        """Let *coroutine* run on the loop until it ends or the loop does."""
        asyncio.run_coroutine_threadsafe(_logged(coroutine), self._loop)

    @property
    def ident(self) -> int | None:
        """The thread's id, None before it runs."""
        return self._thread.ident

    def call_soon(self, callback: Callable[[], object]) -> None:
        """Have *callback* called on the loop as soon as the loop is free."""
        self._loop.call_soon_threadsafe(callback)

    def __exit__(self, *_error: object) -> None:
        self.run(_cancel_others())
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()


async def _logged(coroutine: Coroutine[Any, Any, object]) -> None:
    try:
        await coroutine
    except Exception:
        log.exception("service_ended")


async def _cancel_others() -> None:
    tasks = asyncio.all_tasks() - {asyncio.current_task()}
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)
