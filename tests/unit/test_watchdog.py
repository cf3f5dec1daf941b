"""A worker whose event loop is blocked says where, and ends; one that is only busy, or was frozen, goes on."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import cast

from structlog.testing import capture_logs

from workers.event_loop import EventLoopThread
from workers.watchdog import Watchdog, deadline


@contextmanager
def blocked(loop: EventLoopThread) -> Iterator[None]:
    """Block *loop* in a call that does not return."""
    is_blocked, may_go_on = threading.Event(), threading.Event()

    async def hold_everything_up() -> None:
        is_blocked.set()
        may_go_on.wait()

    loop.start(hold_everything_up())
    is_blocked.wait()
    try:
        yield
    finally:
        may_go_on.set()


def test_a_loop_that_does_not_answer_is_told_of_and_then_ended() -> None:
    """After 5 ticks with the place where it hangs, after 30 for good: its jobs have been others' for long."""
    ended: list[int] = []
    with EventLoopThread() as loop, capture_logs() as logs, blocked(loop):
        watchdog = Watchdog(loop, ended.append)
        for _ in range(1 + 29):
            watchdog.tick()
        before = list(ended)
        watchdog.tick()

    assert (before, ended) == ([], [70])
    [told, gave_up] = logs
    assert (told["event"], gave_up["event"]) == ("event_loop_blocked", "worker_gave_up")
    assert "hold_everything_up" in told["stack"]


def test_an_end_that_takes_too_long_is_made_short() -> None:
    """One that comes in time is let be."""
    ended, is_over = [], threading.Event()

    def end(status: int) -> None:
        ended.append(status)
        is_over.set()

    with deadline(3600.0, end):
        before = list(ended)
    with deadline(0.0, end):
        is_over.wait()

    assert (before, ended) == ([], [70])


def test_a_loop_that_answers_in_the_end_has_missed_nothing() -> None:
    """However often it is late: ticks are counted from its last answer."""
    ended: list[int] = []
    with EventLoopThread() as loop:
        watchdog = Watchdog(loop, ended.append)
        for _ in range(3):
            with blocked(loop):
                for _ in range(20):
                    watchdog.tick()
            loop.run(_nothing())  # it is free again, and has answered all that came before

    assert ended == []


class Frozen:
    """A loop that is asked and cannot answer, for nothing of its process runs."""

    ident = None

    def call_soon(self, callback: object) -> None:
        """Do nothing."""


def test_a_process_that_was_frozen_is_not_ended() -> None:
    """It made no ticks meanwhile, however long that was; the first one afterwards finds the old question open."""
    ended: list[int] = []
    watchdog = Watchdog(cast("EventLoopThread", Frozen()), ended.append)

    for _ in range(2):
        watchdog.tick()

    assert ended == []


async def _nothing() -> None:
    """Answer."""
