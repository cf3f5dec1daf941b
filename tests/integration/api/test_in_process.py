"""Consumers inside the process that commits the events (L0)."""

import asyncio
from typing import Any, cast

from structlog.testing import capture_logs

from api.background import running
from rustok.events.consumer import Consumer, Counts, Drained
from rustok.events.in_process import InProcessConfig, InProcessConsumers
from rustok.runtime import LocalWake


class ScriptedConsumer:
    """Drains as told: raises the errors it was given, one a wake-up, then succeeds; every second drain is the last."""

    name = "scripted"

    def __init__(self, *errors: Exception) -> None:
        self._errors = list(errors)
        self.drains = 0
        self.has_drained = asyncio.Event()

    async def drain(self) -> Drained:
        if self._errors:
            raise self._errors.pop()
        self.drains += 1
        if self.drains == 2:
            self.has_drained.set()
        return Drained(Counts(read=3), has_more=self.drains % 2 == 1)


def in_process(consumer: ScriptedConsumer, wake: LocalWake, poll_s: float = 60.0) -> InProcessConsumers:
    consumers: dict[str, Any] = {consumer.name: cast("Consumer", consumer)}
    return InProcessConsumers(InProcessConfig(poll_s), consumers, wake)


async def test_a_consumer_drains_as_long_as_it_has_more() -> None:
    """The events that were read are those of all its drains."""
    consumer = ScriptedConsumer()

    assert await in_process(consumer, LocalWake()).run_once() == 6
    assert consumer.drains == 2


async def test_a_commit_wakes_the_consumers() -> None:
    """Without waiting for the poll."""
    consumer, wake = ScriptedConsumer(), LocalWake()

    async with running([in_process(consumer, wake).run]):
        wake.wake()
        await consumer.has_drained.wait()

    assert consumer.drains == 2


async def test_a_failure_is_logged_and_tried_again_at_the_next_poll() -> None:
    """A server that was away must not end the loop."""
    consumer, wake = ScriptedConsumer(ConnectionResetError("gone")), LocalWake()

    with capture_logs() as lines:
        async with running([in_process(consumer, wake, poll_s=0.001).run]):
            await consumer.has_drained.wait()

    assert [line["event"] for line in lines] == ["in_process_consumers_failed"]


async def test_what_is_left_at_the_end_is_handled() -> None:
    """The log ends with the process."""
    consumer = ScriptedConsumer()
    loop = in_process(consumer, LocalWake())

    async with running([loop.run]):
        pass
    await loop.finish()

    assert consumer.drains == 2


async def test_a_loop_stops_although_a_wake_up_meets_its_end() -> None:
    """Python 3.11 drops a cancellation that arrives together with what a task waits for."""
    consumer, wake = ScriptedConsumer(), LocalWake()

    async with asyncio.timeout(5), running([in_process(consumer, wake).run]):
        await asyncio.to_thread(lambda: None)  # the loop is waiting now
        wake.wake()
