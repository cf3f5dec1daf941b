"""Waits that end: for what another thread or process brings about."""

import asyncio
import threading
import time
from collections.abc import Awaitable, Callable

WAIT_S = 60.0
"""Long: a worker that a test starts takes 4 s of a processor for its imports, and others want the processor, too."""


def eventually(holds: Callable[[], object], within_s: float = WAIT_S) -> None:
    """Return as soon as *holds* does; fail when it does not within the time."""
    deadline_s = time.monotonic() + within_s
    tick = threading.Event()
    while not holds():
        assert time.monotonic() < deadline_s, f"did not come true within {within_s} s"
        tick.wait(0.005)


async def eventually_async(holds: Callable[[], Awaitable[object]], within_s: float = WAIT_S) -> None:
    """Return as soon as *holds* answers something true; fail when it does not within the time."""
    never = asyncio.Event()
    async with asyncio.timeout(within_s):
        while not await holds():
            try:
                await asyncio.wait_for(never.wait(), 0.01)
            except TimeoutError:
                continue
