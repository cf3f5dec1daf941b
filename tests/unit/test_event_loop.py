"""The event loop of a worker: what runs on it by itself does not end without a word."""

from structlog.testing import capture_logs

from tests.waiting import eventually
from workers.event_loop import EventLoopThread


async def fail() -> None:
    raise KeyError("heart")


def test_what_ends_by_an_error_is_told() -> None:
    """Nobody waits for it, and the worker goes on without it."""
    with capture_logs() as lines, EventLoopThread() as loop:
        loop.start(fail())
        eventually(lambda: lines)

    assert [line["event"] for line in lines] == ["service_ended"]
