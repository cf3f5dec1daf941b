"""What a worker does with a message, over a broker and consumers that are driven by hand."""

from collections.abc import Iterator
from typing import Any, cast

import pytest
from dramatiq import Message
from dramatiq.brokers.stub import StubBroker

from rustok.events.consumer import Consumer, Counts, Drained
from workers.actors import declare_consume
from workers.broker import BrokerUnavailable, NoRetries
from workers.event_loop import EventLoopThread
from workers.queues import CONSUME, consume_message


class RecordingBroker(StubBroker):
    """Keeps what is sent; refuses it while `is_away`."""

    def __init__(self) -> None:
        super().__init__([NoRetries()])
        self.sent: list[tuple[Any, ...]] = []
        self.is_away = False

    def enqueue(self, message: Message[Any], *, delay: int | None = None) -> Message[Any]:
        assert delay is None
        if self.is_away:
            raise BrokerUnavailable("Redis is away")
        self.sent.append(message.args)
        return message


class ScriptedConsumer:
    """Answers a drain as told, or fails."""

    name = "index"

    def __init__(self, outcome: Drained | Exception) -> None:
        self._outcome = outcome
        self.drains = 0

    async def drain(self) -> Drained:
        self.drains += 1
        if isinstance(self._outcome, Exception):
            raise self._outcome
        return self._outcome


@pytest.fixture
def broker() -> RecordingBroker:
    return RecordingBroker()


@pytest.fixture
def loop() -> Iterator[EventLoopThread]:
    with EventLoopThread() as loop:
        yield loop


def consume(broker: RecordingBroker, loop: EventLoopThread, consumer: ScriptedConsumer, name: str = "clocks") -> None:
    """Let the actor have the message of one hint."""
    declare_consume(broker, loop, {"clocks": cast("Consumer", consumer)})
    message = consume_message(name)
    broker.get_actor(CONSUME).fn(*message.args)


def test_a_hint_lets_its_consumer_drain(broker: RecordingBroker, loop: EventLoopThread) -> None:
    """Once; with nothing left to do it is done."""
    consumer = ScriptedConsumer(Drained(Counts(read=3), has_more=False))

    consume(broker, loop, consumer)

    assert (consumer.drains, broker.sent) == (1, [])


def test_a_consumer_with_more_to_do_is_hinted_again(broker: RecordingBroker, loop: EventLoopThread) -> None:
    """By the worker itself: the sweep would come a second later."""
    consumer = ScriptedConsumer(Drained(Counts(read=3), has_more=True))

    consume(broker, loop, consumer)

    assert (consumer.drains, broker.sent) == (1, [("clocks",)])


def test_a_hint_that_cannot_be_sent_is_left_to_the_sweep(broker: RecordingBroker, loop: EventLoopThread) -> None:
    """What was done is done: the message does not fail."""
    broker.is_away = True

    consume(broker, loop, ScriptedConsumer(Drained(Counts(read=3), has_more=True)))

    assert broker.sent == []


def test_a_failing_server_is_left_to_the_sweep(broker: RecordingBroker, loop: EventLoopThread) -> None:
    """To come back at once would only load it."""
    consume(broker, loop, ScriptedConsumer(ConnectionResetError("gone")))

    assert broker.sent == []


def test_a_consumer_of_another_release_is_passed_over(broker: RecordingBroker, loop: EventLoopThread) -> None:
    """Old and new processes run side by side during an upgrade."""
    consumer = ScriptedConsumer(Drained(Counts(), has_more=False))

    consume(broker, loop, consumer, name="clocks.of_tomorrow")

    assert consumer.drains == 0
