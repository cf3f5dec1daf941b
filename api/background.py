"""Tasks that live as long as the process serves requests."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable
from contextlib import asynccontextmanager

import structlog

log = structlog.get_logger(__name__)


@asynccontextmanager
async def running(loops: Iterable[Callable[[], Awaitable[None]]]) -> AsyncIterator[None]:
    """Run *loops*, which run until cancelled; leave when each has ended.

    One that ends by itself is logged and not missed: loops beside the requests only save time.
    """
    tasks = [asyncio.create_task(_run(loop)) for loop in loops]
    try:
        yield
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


async def _run(loop: Callable[[], Awaitable[None]]) -> None:
    try:
        await loop()
    except Exception:
        log.exception("background_task_ended", task=getattr(loop, "__qualname__", repr(loop)))
