"""What a real asyncio process has: a clock, a wake-up that another coroutine gives, a heap."""

import asyncio
import gc
import time
from datetime import UTC, datetime


class SystemClock:
    def now(self) -> datetime:
        return datetime.now(UTC)

    def monotonic_s(self) -> float:
        return time.monotonic()

    async def sleep(self, seconds: float) -> None:
        await asyncio.sleep(seconds)


class LocalWake:
    """Wakes a loop of this process."""

    def __init__(self) -> None:
        self._event = asyncio.Event()

    def wake(self) -> None:
        self._event.set()

    async def wait(self, timeout_s: float) -> bool:
        try:
            # Not wait_for: before Python 3.12 it loses a cancellation that comes together with the wake-up.
            async with asyncio.timeout(timeout_s):
                await self._event.wait()
        except TimeoutError:
            return False
        self._event.clear()
        return True


def freeze_heap() -> None:
    """Keep the garbage collector off what exists now. Call once, when a process is put together.

    Else each full collection walks through all code and descriptors again: 50 ms in which nobody is answered.
    """
    gc.collect()
    gc.freeze()
