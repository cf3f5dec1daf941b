"""Ends a worker whose event loop is blocked: it does nothing any more, its jobs are others' by now, and it hides that.

It runs on another thread. The supervisor starts a process in its place.
"""

import os
import sys
import threading
import traceback
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import structlog

from workers.event_loop import EventLoopThread

log = structlog.get_logger(__name__)

_TOLD_AFTER_TICKS = 5
_GIVEN_UP_AFTER_TICKS = 30
_EXIT_STATUS = 70
"""EX_SOFTWARE of sysexits.h."""


@contextmanager
def deadline(seconds: float, end: Callable[[int], object] = os._exit) -> Iterator[None]:
    """End the process if what happens inside takes longer: nobody else might."""
    timer = threading.Timer(seconds, end, (_EXIT_STATUS,))
    timer.daemon = True
    timer.start()
    try:
        yield
    finally:
        timer.cancel()


class Watchdog:
    """Asks the loop for a sign of life at each tick, once a second or so.

    Ticks are counted, not seconds: a process that was frozen as a whole has missed none.
    """

    def __init__(self, loop: EventLoopThread, end: Callable[[int], object] = os._exit) -> None:
        self._loop = loop
        self._end = end
        self._answered = threading.Event()
        self._answered.set()
        self._missed = 0

    def tick(self) -> None:
        """Look whether the loop has answered the last question; tell, and at last end the process, if it does not."""
        if self._answered.is_set():
            self._missed = 0
            self._answered.clear()
            self._loop.call_soon(self._answered.set)
            return
        self._missed += 1
        if self._missed == _TOLD_AFTER_TICKS:
            log.error("event_loop_blocked", stack=self._stack())
        if self._missed == _GIVEN_UP_AFTER_TICKS:
            log.critical("worker_gave_up", stack=self._stack())
            self._end(_EXIT_STATUS)

    def _stack(self) -> str:
        """Return where the loop is."""
        frame = sys._current_frames().get(self._loop.ident or 0)  # noqa: SLF001 - there is no other way to it
        return "".join(traceback.format_stack(frame)) if frame else "unknown"
