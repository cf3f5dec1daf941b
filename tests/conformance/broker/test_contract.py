"""What Dramatiq promises of any broker, held against its own stub and ours."""

import dramatiq
import pytest
from dramatiq import Message, QueueJoinTimeout
from dramatiq.errors import QueueNotFound

from tests.conformance.broker.harness import Gate, Runs, Signals, Subject, actor, working
from tests.waiting import eventually


def failing(_: object) -> None:
    raise RuntimeError("on purpose")


def to_nobody(queue_name: str = "default") -> Message[None]:
    return Message(queue_name=queue_name, actor_name="nobody", args=(), kwargs={}, options={})


def test_every_message_sent_is_run(subject: Subject) -> None:
    """Each message runs once when nothing fails."""
    runs = Runs()
    act = actor(subject.broker, runs)

    with working(subject.broker):
        for key in range(100):
            act.send(key)
        subject.broker.join("default", timeout=10_000)

    assert sorted(runs.seen) == list(range(100))


def test_messages_sent_before_the_worker_starts_are_run(subject: Subject) -> None:
    """A queue keeps what nobody listens to yet."""
    runs = Runs()
    actor(subject.broker, runs).send("early")

    with working(subject.broker):
        subject.broker.join("default", timeout=10_000)

    assert runs.seen == ["early"]


def test_a_message_arrives_as_it_was_sent(subject: Subject) -> None:
    """Arguments, options and identity survive the queue; args come back as a tuple."""
    subject.broker.declare_queue("default")
    sent: Message[None] = Message(
        queue_name="default",
        actor_name="act",
        args=(1, "два", [None, 2.5]),
        kwargs={"deep": {"list": [True]}},
        options={"traceparent": "00-ab-cd-01"},
    )

    subject.broker.enqueue(sent)
    received = next(subject.broker.consume("default", timeout=1_000))

    assert received == sent


def test_an_acked_message_is_gone(subject: Subject) -> None:
    """Ack removes a message, and leaves no dead letter."""
    subject.broker.declare_queue("default")
    subject.broker.enqueue(to_nobody())
    consumer = subject.broker.consume("default", timeout=1_000)
    message = next(consumer)
    assert message is not None

    consumer.ack(message)

    subject.broker.join("default", timeout=10_000)
    assert subject.dead_ids("default") == []


def test_a_rejected_message_becomes_a_dead_letter(subject: Subject) -> None:
    """Nack removes a message from its queue and keeps it aside."""
    subject.broker.declare_queue("default")
    subject.broker.enqueue(to_nobody())
    consumer = subject.broker.consume("default", timeout=1_000)
    message = next(consumer)
    assert message is not None

    consumer.nack(message)

    subject.broker.join("default", timeout=10_000)
    assert subject.dead_ids("default") == [message.message_id]


def test_a_message_whose_actor_raises_is_dead_after_one_run(subject: Subject) -> None:
    """Attempts are counted elsewhere: the broker tries once, and neighbours flow."""
    runs = Runs()
    fail = actor(subject.broker, failing, "fail")
    act = actor(subject.broker, runs)

    with working(subject.broker):
        failed = fail.send("x")
        act.send("neighbour")
        subject.broker.join("default", timeout=10_000)

    assert subject.dead_ids("default") == [failed.message_id]
    assert runs.seen == ["neighbour"]


def test_a_message_for_an_unknown_actor_is_dead_and_does_not_loop(subject: Subject) -> None:
    """Nobody can run it, so nobody gets it again."""
    subject.broker.declare_queue("default")

    with working(subject.broker):
        lost = subject.broker.enqueue(to_nobody())
        subject.broker.join("default", timeout=10_000)

    assert subject.dead_ids("default") == [lost.message_id]


def test_join_returns_only_after_the_running_message(subject: Subject) -> None:
    """A message that was delivered and not acked counts as queued."""
    gate = Gate()
    act = actor(subject.broker, gate)

    with working(subject.broker):
        act.send("long")
        gate.wait_begun()
        with pytest.raises(QueueJoinTimeout):
            subject.broker.join("default", timeout=100)
        gate.opened.set()
        subject.broker.join("default", timeout=10_000)

    assert gate.seen == ["long"]


def test_join_times_out_when_nobody_works(subject: Subject) -> None:
    """The timeout is in milliseconds and raises QueueJoinTimeout."""
    actor(subject.broker, Runs()).send("unheard")

    with pytest.raises(QueueJoinTimeout):
        subject.broker.join("default", timeout=100)


def test_a_flushed_queue_is_empty(subject: Subject) -> None:
    """Flush drops what is queued, in this queue only."""
    one = actor(subject.broker, Runs(), "one", queue_name="first")
    two = actor(subject.broker, Runs(), "two", queue_name="second")
    one.send("x")
    two.send("y")

    subject.broker.flush("first")

    subject.broker.join("first", timeout=1_000)
    with pytest.raises(QueueJoinTimeout):
        subject.broker.join("second", timeout=100)


def test_flushing_all_drops_every_queue_and_the_dead_letters(subject: Subject) -> None:
    """After flush_all nothing of the past is left."""
    fail = actor(subject.broker, failing, "fail", queue_name="first")
    act = actor(subject.broker, Runs(), queue_name="second")
    with working(subject.broker):
        fail.send("x")
        subject.broker.join("first", timeout=10_000)
    act.send("y")

    subject.broker.flush_all()

    subject.broker.join("second", timeout=1_000)
    assert subject.dead_ids("first") == []


def test_a_queue_works_on_after_a_flush_under_a_waiting_worker(subject: Subject) -> None:
    """Flushing does not deafen the consumer that is blocked on the queue."""
    runs = Runs()
    act = actor(subject.broker, runs)

    with working(subject.broker):
        act.send("before")
        subject.broker.join("default", timeout=10_000)
        subject.broker.flush("default")
        act.send("after")
        subject.broker.join("default", timeout=10_000)

    assert runs.seen == ["before", "after"]


def test_queues_do_not_mix(subject: Subject) -> None:
    """A consumer sees the messages of its own queue only."""
    first, second = Runs(), Runs()
    one = actor(subject.broker, first, "one", queue_name="first")
    two = actor(subject.broker, second, "two", queue_name="second")

    with working(subject.broker):
        for key in range(20):
            one.send(key)
            two.send(-key)
        subject.broker.join("first", timeout=10_000)
        subject.broker.join("second", timeout=10_000)

    assert sorted(first.seen) == list(range(20))
    assert sorted(second.seen) == [-key for key in reversed(range(20))]


def test_an_urgent_message_overtakes_those_already_fetched(subject: Subject) -> None:
    """Priority orders what a worker holds; the lower number runs first."""
    gate, runs = Gate(), Runs()
    block = actor(subject.broker, gate, "block")
    slow = actor(subject.broker, runs, "slow", priority=10)
    fast = actor(subject.broker, runs, "fast", priority=1)

    with working(subject.broker, threads=1, prefetch=8) as worker:
        block.send("x")
        gate.wait_begun()
        slow.send("slow")
        fast.send("fast")
        eventually(lambda: worker.work_queue.qsize() == 2)
        gate.opened.set()
        subject.broker.join("default", timeout=10_000)

    assert runs.seen == ["fast", "slow"]


def test_a_consumer_holds_no_more_than_its_prefetch(subject: Subject) -> None:
    """With prefetch 1 the second message comes only after the first is settled."""
    subject.broker.declare_queue("default")
    subject.broker.enqueue(to_nobody())
    subject.broker.enqueue(to_nobody())
    consumer = subject.broker.consume("default", prefetch=1, timeout=200)
    first = next(consumer)
    assert first is not None

    refused = next(consumer)
    consumer.ack(first)
    second = next(consumer)

    assert refused is None
    assert second is not None


def test_an_empty_queue_yields_none(subject: Subject) -> None:
    """A consumer gives the worker a turn when its timeout has passed."""
    subject.broker.declare_queue("default")

    assert next(subject.broker.consume("default", timeout=50)) is None


def test_a_queue_that_was_never_declared_is_not_found(subject: Subject) -> None:
    """A typing error in a queue's name must not make a queue."""
    with pytest.raises(QueueNotFound):
        subject.broker.consume("absent")
    with pytest.raises(QueueNotFound):
        subject.broker.enqueue(to_nobody("absent"))
    with pytest.raises(QueueNotFound):
        subject.broker.join("absent", timeout=100)


def test_a_queue_may_be_declared_twice(subject: Subject) -> None:
    """The second declaration changes nothing."""
    subject.broker.declare_queue("default")
    subject.broker.enqueue(to_nobody())

    subject.broker.declare_queue("default")

    assert "default" in subject.broker.get_declared_queues()
    assert next(subject.broker.consume("default", timeout=1_000)) is not None


def test_signals_tell_the_life_of_a_message_that_succeeds(subject: Subject) -> None:
    """Middleware hears of sending, running and acking, each before and after."""
    signals = Signals()
    subject.broker.add_middleware(signals)
    act = actor(subject.broker, Runs())

    act.send("x")
    with working(subject.broker):
        subject.broker.join("default", timeout=10_000)

    assert signals.seen == [
        "before_enqueue",
        "after_enqueue",
        "before_process_message",
        "after_process_message",
        "before_ack",
        "after_ack",
    ]


def test_signals_tell_the_life_of_a_message_that_fails(subject: Subject) -> None:
    """Middleware hears of the rejection instead of the ack."""
    signals = Signals()
    subject.broker.add_middleware(signals)
    fail = actor(subject.broker, failing)

    fail.send("x")
    with working(subject.broker):
        subject.broker.join("default", timeout=10_000)

    assert signals.seen[4:] == ["before_nack", "after_nack"]


def test_an_actor_declared_after_the_worker_started_is_served(subject: Subject) -> None:
    """Declaring a queue starts a consumer in a worker that already runs."""
    runs = Runs()

    with working(subject.broker):
        act = actor(subject.broker, runs, queue_name="late")
        act.send("x")
        subject.broker.join("late", timeout=10_000)

    assert runs.seen == ["x"]


def test_an_actor_may_not_ask_for_retries(subject: Subject) -> None:
    """Attempts are counted in PostgreSQL: a second counter would multiply them."""
    with pytest.raises(dramatiq.middleware.MiddlewareError, match="max_retries=3"):
        actor(subject.broker, Runs(), max_retries=3)
