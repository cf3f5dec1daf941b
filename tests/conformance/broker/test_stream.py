"""What our broker promises beyond Dramatiq's contract: nothing is lost to a crash, an outage or junk."""

import logging
import subprocess
import sys
import threading
import time
from collections import Counter
from pathlib import Path
from typing import Any

import orjson
import pytest
import redis
from dramatiq import Consumer, Message, QueueJoinTimeout
from dramatiq.errors import QueueNotFound

from tests.conformance.broker.harness import (
    CuttingProxy,
    Gate,
    Runs,
    StreamBrokers,
    Valkey,
    actor,
    working,
)
from tests.waiting import WAIT_S, eventually
from workers.broker import BrokerUnavailable, StreamBroker, UnsupportedDelay

NEVER_MS = 600_000
ROOT = Path(__file__).parents[3]

VICTIM = """
import sys, threading
import dramatiq
from dramatiq import Worker
from workers.broker import StreamBroker

def act(key):
    print("begun", flush=True)
    threading.Event().wait()

broker = StreamBroker(sys.argv[1], namespace=sys.argv[2], claim_idle_ms=300)
dramatiq.actor(broker=broker, actor_name="act")(act)
Worker(broker, worker_threads=1).start()
threading.Event().wait()
"""


def stream_of(broker: StreamBroker, queue_name: str = "default") -> str:
    return f"{broker.namespace}:queue:{queue_name}"


def message(**changes: object) -> dict[str, object]:
    fields: dict[str, object] = {
        "queue_name": "default",
        "actor_name": "act",
        "args": ["ok"],
        "kwargs": {},
        "options": {},
        "message_id": "m",
        "message_timestamp": 1,
    }
    return fields | changes


def calls(client: redis.Redis, command: str) -> int:
    stats: dict[str, Any] = client.info("commandstats")
    return int(stats.get(f"cmdstat_{command}", {"calls": 0})["calls"])


def entries(client: redis.Redis, stream: str) -> list[dict[bytes, bytes]]:
    found: Any = client.xrange(stream)
    return [fields for _, fields in found]


def arguments(consumer: Consumer) -> list[tuple[Any, ...]]:
    """Of the messages that it yields until it has to wait."""
    return [found.args for found in iter(lambda: next(consumer), None)]


def consumers(client: redis.Redis, stream: str) -> set[bytes]:
    rows: Any = client.xinfo_consumers(stream, "workers")
    return {row["name"] for row in rows}


def pending(client: redis.Redis, stream: str) -> int:
    summary: dict[str, Any] = client.xpending(stream, "workers")
    return int(summary["pending"])


# -- what it refuses


@pytest.mark.parametrize("delay", [0, 1_000])
def test_a_delay_is_refused(brokers: StreamBrokers, delay: int) -> None:
    """Due times live in PostgreSQL; a message that waits in Redis or in a worker is lost with it."""
    broker = brokers()
    act = actor(broker, Runs())

    with pytest.raises(UnsupportedDelay) as refusal:
        broker.enqueue(act.message("x"), delay=delay)

    assert refusal.value.code == "delay_unsupported"


def test_an_eta_is_refused_like_a_delay(brokers: StreamBrokers) -> None:
    """Dramatiq's own spelling of a delay does not get around the rule."""
    broker = brokers()
    broker.declare_queue("default")

    with pytest.raises(UnsupportedDelay):
        broker.enqueue(Message("default", "act", (), {}, {"eta": 1}))


def test_there_are_no_delay_queues(brokers: StreamBrokers) -> None:
    """A declared queue is one stream."""
    broker = brokers()

    broker.declare_queue("default")

    assert broker.get_declared_queues() == {"default"}
    assert broker.get_declared_delay_queues() == set()


# -- sending


def test_many_messages_are_sent_together_to_their_queues(brokers: StreamBrokers) -> None:
    """One call may carry messages of several queues, each keeps its order."""
    broker = brokers()
    one = actor(broker, Runs(), "one", queue_name="first")
    two = actor(broker, Runs(), "two", queue_name="second")

    broker.enqueue_many([one.message(1), two.message(2), one.message(3)])

    assert arguments(broker.consume("first", prefetch=5, timeout=50)) == [(1,), (3,)]
    assert arguments(broker.consume("second", prefetch=5, timeout=50)) == [(2,)]


def test_nothing_is_sent_when_one_queue_is_unknown(brokers: StreamBrokers, client: redis.Redis) -> None:
    """A batch is checked before its first message leaves."""
    broker = brokers()
    act = actor(broker, Runs())

    with pytest.raises(QueueNotFound):
        broker.enqueue_many([act.message("x"), Message("absent", "act", (), {}, {})])

    assert client.xlen(stream_of(broker)) == 0


def test_sending_while_redis_is_away_raises_a_retryable_error(brokers: StreamBrokers, server: Valkey) -> None:
    """The sender learns that the message may not have arrived."""
    broker = brokers()
    act = actor(broker, Runs())
    server.stop()

    try:
        with pytest.raises(BrokerUnavailable) as failure:
            act.send("x")
    finally:
        server.start()

    assert failure.value.retryable


# -- draining


def test_five_thousand_messages_are_run_exactly_once(brokers: StreamBrokers, client: redis.Redis) -> None:
    """Without faults at-least-once is exactly-once, and nothing stays behind in the stream or its group."""
    broker = brokers(prefetch={"default": 200})
    runs = Runs()
    act = actor(broker, runs)

    with working(broker, threads=8):
        for start in range(0, 5_000, 500):
            broker.enqueue_many([act.message(key) for key in range(start, start + 500)])
        broker.join("default", timeout=60_000)

    assert Counter(runs.seen) == Counter(range(5_000))
    assert pending(client, stream_of(broker)) == 0


def test_acks_travel_in_batches(brokers: StreamBrokers, client: redis.Redis) -> None:
    """500 acks are a handful of commands, each followed by the deletion of its entries."""
    broker = brokers()
    act = actor(broker, Runs())
    broker.enqueue_many([act.message(key) for key in range(500)])
    consumer = broker.consume("default", prefetch=500, timeout=1_000)
    delivered = [found for _ in range(500) if (found := next(consumer)) is not None]
    client.config_resetstat()

    for found in delivered:
        consumer.ack(found)
    broker.join("default", timeout=10_000)

    assert len(delivered) == 500
    assert 1 <= calls(client, "xack") <= 25
    assert calls(client, "xdel") == calls(client, "xack")


def test_one_ack_does_not_wait_for_company(brokers: StreamBrokers) -> None:
    """An ack that stays alone is sent within milliseconds, while the consumer is blocked in its read."""
    broker = brokers()
    act = actor(broker, Runs())
    act.send("x")
    consumer = broker.consume("default", timeout=1_000)
    found = next(consumer)
    assert found is not None

    consumer.ack(found)

    broker.join("default", timeout=1_000)


# -- junk


def test_junk_is_quarantined_and_its_neighbours_run(brokers: StreamBrokers, client: redis.Redis) -> None:
    """Whatever an entry holds, the consumer sets it aside with the reason and goes on."""
    broker = brokers()
    runs = Runs()
    act = actor(broker, runs)
    junk: list[tuple[dict[Any, Any], str]] = [
        ({b"other": b"field"}, "no message field"),
        ({b"m": b"\x80\x04\x95pickle"}, "not JSON"),
        ({b"m": b"[" * 100_000}, "not JSON"),
        ({b"m": b"\xff\xfe"}, "not JSON"),
        ({b"m": b"[]"}, "not a message"),
        ({b"m": b"{}"}, "not a message"),
        ({b"m": orjson.dumps(message(extra=1))}, "not a message"),
        ({b"m": orjson.dumps(message(args={}))}, "wrong type of args"),
        ({b"m": orjson.dumps(message(message_timestamp=True))}, "wrong type of message_timestamp"),
        ({b"m": orjson.dumps(message(queue_name="other"))}, "addressed to another queue"),
        ({b"m": orjson.dumps(message(options={"eta": 1}))}, "refused option"),
        ({b"m": orjson.dumps(message(options={"throws": "x"}))}, "refused option"),
    ]
    for number, (fields, _) in enumerate(junk):
        client.xadd(stream_of(broker), fields)
        act.send(number)

    with working(broker):
        broker.join("default", timeout=10_000)

    letters = entries(client, f"{broker.namespace}:quarantine")
    assert [letter[b"reason"].decode() for letter in letters] == [reason for _, reason in junk]
    assert {letter[b"queue"] for letter in letters} == {b"default"}
    assert sorted(runs.seen) == list(range(len(junk)))


def test_the_quarantine_does_not_grow_without_end(brokers: StreamBrokers, client: redis.Redis) -> None:
    """Letters are for people: the newest are kept, up to about the cap."""
    broker = brokers(letter_cap=10)
    broker.declare_queue("default")
    for _ in range(1_000):
        client.xadd(stream_of(broker), {b"m": b"junk"})

    with working(broker):
        broker.join("default", timeout=10_000)

    assert 10 <= client.xlen(f"{broker.namespace}:quarantine") <= 250


def test_a_dead_letter_tells_what_failed(brokers: StreamBrokers, client: redis.Redis) -> None:
    """It holds the message as sent, its queue and the class of the error, but not the text of the error."""
    broker = brokers()

    def fail(_: object) -> None:
        raise RuntimeError("a tenant's secret")

    sent = actor(broker, fail).send("x")
    with working(broker):
        broker.join("default", timeout=10_000)

    [letter] = entries(client, f"{broker.namespace}:dead:default")
    assert orjson.loads(letter[b"m"])["message_id"] == sent.message_id
    assert (letter[b"queue"], letter[b"reason"]) == (b"default", b"RuntimeError")


# -- handing back


def test_a_stopped_worker_hands_back_what_it_did_not_run(brokers: StreamBrokers, client: redis.Redis) -> None:
    """The others get it at once, not after the claim time; what was running is finished and not repeated."""
    leaving, staying = brokers(claim_idle_ms=NEVER_MS), brokers(claim_idle_ms=NEVER_MS)
    gate, runs = Gate(), Runs()
    act = actor(leaving, gate)
    actor(staying, runs)
    with working(leaving, threads=1, prefetch=50) as worker:
        leaving.enqueue_many([act.message(key) for key in range(10)])
        gate.wait_begun()
        eventually(lambda: pending(client, stream_of(leaving)) == 10)
        stopping = threading.Thread(target=worker.stop)
        stopping.start()
        eventually(lambda: not worker.workers[0].running)
        gate.opened.set()
        stopping.join(WAIT_S)

    with working(staying):
        staying.join("default", timeout=5_000)

    assert Counter(gate.seen + runs.seen) == Counter(range(10))
    assert len(gate.seen) == 1


def test_a_closed_consumer_hands_back_what_it_did_not_yield(brokers: StreamBrokers) -> None:
    """Entries that were fetched ahead are free for others at once."""
    leaving, staying = brokers(claim_idle_ms=NEVER_MS), brokers(claim_idle_ms=NEVER_MS)
    act = actor(leaving, Runs())
    staying.declare_queue("default")
    leaving.enqueue_many([act.message(key) for key in range(5)])
    consumer = leaving.consume("default", prefetch=5, timeout=1_000)
    first = next(consumer)
    assert first is not None

    consumer.close()

    assert arguments(staying.consume("default", prefetch=5, timeout=100)) == [(1,), (2,), (3,), (4,)]


def test_a_message_may_be_acked_after_its_consumer_was_closed(brokers: StreamBrokers) -> None:
    """Dramatiq replaces consumers while their messages still run."""
    broker = brokers()
    actor(broker, Runs()).send("x")
    consumer = broker.consume("default", timeout=1_000)
    found = next(consumer)
    assert found is not None
    consumer.close()

    broker.consume("default").ack(found)

    broker.join("default", timeout=5_000)


@pytest.mark.parametrize("frozen", [False, True], ids=["redis answers", "redis is frozen"])
def test_a_worker_stops_within_ten_seconds(brokers: StreamBrokers, server: Valkey, *, frozen: bool) -> None:
    """Whatever Redis does, a stop is over before the supervisor loses patience."""
    broker = brokers()
    gate = Gate()
    act = actor(broker, gate)

    with working(broker, threads=1, prefetch=50) as worker:
        broker.enqueue_many([act.message(key) for key in range(100)])
        gate.wait_begun()
        gate.opened.set()
        begun = time.monotonic()
        if frozen:
            with server.frozen():
                worker.stop()
                broker.close()
        else:
            worker.stop()
            broker.close()
        took = time.monotonic() - begun

    assert took < 10


# -- death of a consumer


def test_messages_of_a_killed_process_are_picked_up(
    brokers: StreamBrokers, server: Valkey, client: redis.Redis
) -> None:
    """Both the message that it was running and those that it had fetched."""
    broker = brokers(claim_idle_ms=300)
    runs = Runs()
    act = actor(broker, runs)
    broker.enqueue_many([act.message(key) for key in range(2)])
    with subprocess.Popen(  # noqa: S603 - ourselves
        [sys.executable, "-c", VICTIM, server.url, broker.namespace], cwd=ROOT, stdout=subprocess.PIPE
    ) as victim:
        assert victim.stdout is not None
        assert victim.stdout.readline() == b"begun\n"
        eventually(lambda: pending(client, stream_of(broker)) == 2)
        victim.kill()

    with working(broker):
        broker.join("default", timeout=10_000)

    assert sorted(runs.seen) == [0, 1]


def test_a_long_message_of_a_living_consumer_is_not_stolen(brokers: StreamBrokers, client: redis.Redis) -> None:
    """A message may run far longer than the claim time: its consumer refreshes what it holds."""
    owner, rival = brokers(claim_idle_ms=300), brokers(claim_idle_ms=300)
    gate, stolen = Gate(), Runs()
    act = actor(owner, gate)
    actor(rival, stolen)

    with working(owner, threads=1):
        act.send("running")
        gate.wait_begun()
        act.send("fetched")
        eventually(lambda: pending(client, stream_of(owner)) == 2)
        with working(rival):
            client.config_resetstat()
            # A claim every 60 ms at the most from each of the two: about four claim times.
            eventually(lambda: calls(client, "xautoclaim") >= 40)
        gate.opened.set()
        owner.join("default", timeout=10_000)

    assert stolen.seen == []
    assert gate.seen == ["running", "fetched"]


def test_a_running_message_that_looks_abandoned_is_not_run_again_by_its_own_consumer(
    brokers: StreamBrokers, client: redis.Redis
) -> None:
    """After an outage everything is old; a consumer that claims its own message knows that it holds it."""
    broker = brokers(claim_idle_ms=1_000, name="me")
    gate = Gate()
    act = actor(broker, gate)

    def claims_of_an_old_message() -> int:
        row: Any = client.xpending_range(stream_of(broker), "workers", "-", "+", 1)
        client.xclaim(stream_of(broker), "workers", "me", 0, [row[0]["message_id"]], idle=60_000, justid=True)
        return calls(client, "xautoclaim")

    with working(broker):
        act.send("x")
        gate.wait_begun()
        client.config_resetstat()
        eventually(lambda: claims_of_an_old_message() >= 4)
        gate.opened.set()
        broker.join("default", timeout=10_000)

    assert gate.seen == ["x"]


def test_consumer_names_of_the_dead_are_deleted_once_they_hold_nothing(
    brokers: StreamBrokers, client: redis.Redis
) -> None:
    """Deleting a consumer drops what it holds, so first its messages are taken over."""
    broker = brokers(claim_idle_ms=200, forget_after_ms=300, name="living")
    runs = Runs()
    act = actor(broker, runs)
    broker.flush("default")
    act.send("held")
    client.xreadgroup("workers", "dead", {stream_of(broker): ">"})

    with working(broker):
        eventually(lambda: [row["name"] for row in client.xinfo_consumers(stream_of(broker), "workers")] == [b"living"])

    assert runs.seen == ["held"]


def test_a_silent_consumer_that_still_holds_a_message_is_kept(brokers: StreamBrokers, client: redis.Redis) -> None:
    """Its message is listed under its name and nowhere else, until somebody claims it."""
    broker = brokers(claim_idle_ms=NEVER_MS, forget_after_ms=300, name="living")
    act = actor(broker, Runs())
    broker.flush("default")
    act.send("held")
    client.xreadgroup("workers", "holding", {stream_of(broker): ">"})
    client.xgroup_createconsumer(stream_of(broker), "workers", "empty")

    with working(broker):
        eventually(lambda: consumers(client, stream_of(broker)) == {b"holding", b"living"})

    assert pending(client, stream_of(broker)) == 1


def test_a_closed_broker_leaves_its_group(brokers: StreamBrokers, client: redis.Redis) -> None:
    """A clean stop leaves no name behind."""
    broker = brokers()
    actor(broker, Runs()).send("x")
    with working(broker):
        broker.join("default", timeout=10_000)

    broker.close()

    assert consumers(client, stream_of(broker)) == set()


# -- faults of the network and of Redis


def test_a_message_whose_delivery_was_lost_on_the_wire_comes_again(brokers: StreamBrokers, client: redis.Redis) -> None:
    """Redis believes that this very consumer holds it; the consumer never saw it and is alive."""
    broker = brokers(claim_idle_ms=300, name="me")
    runs = Runs()
    act = actor(broker, runs)
    broker.flush("default")
    act.send("lost")
    delivered: Any = client.xreadgroup("workers", "me", {stream_of(broker): ">"})
    assert len(delivered[0][1]) == 1

    with working(broker):
        act.send("next")
        broker.join("default", timeout=10_000)

    assert sorted(runs.seen) == ["lost", "next"]


def test_nothing_is_lost_when_every_twentieth_reply_is_cut(
    brokers: StreamBrokers, server: Valkey, client: redis.Redis
) -> None:
    """Deliveries, acks, claims: whichever reply is lost, each message is run, and the stream ends empty."""
    proxy = CuttingProxy(server.port, every=20)
    sender = brokers()
    broker = brokers(url=proxy.url, claim_idle_ms=300)
    sender.declare_queue("default")
    runs = Runs()
    act = actor(broker, runs)

    with proxy.running(), working(broker):
        for key in range(300):
            sender.enqueue(act.message(key))
        sender.join("default", timeout=30_000)

    assert set(runs.seen) == set(range(300))
    assert pending(client, stream_of(broker)) == 0
    assert proxy.cuts > 0


def test_flushall_under_a_running_worker_stops_nothing(brokers: StreamBrokers, client: redis.Redis) -> None:
    """Stream and group are made again by whoever needs them."""
    broker = brokers()
    runs = Runs()
    act = actor(broker, runs)

    with working(broker):
        for turn in range(5):
            act.send(turn)
            broker.join("default", timeout=10_000)
            client.flushall()
        act.send("last")
        broker.join("default", timeout=10_000)

    assert runs.seen == [0, 1, 2, 3, 4, "last"]


def test_a_restart_of_redis_loses_nothing(brokers: StreamBrokers, server: Valkey) -> None:
    """With an append-only file, whatever was sent and not acked is run after the restart."""
    broker = brokers()
    gate = Gate()
    act = actor(broker, gate)

    with working(broker, threads=2, prefetch=20):
        broker.enqueue_many([act.message(key) for key in range(200)])
        gate.wait_begun()
        server.restart()
        gate.opened.set()
        broker.join("default", timeout=20_000)

    assert set(gate.seen) == set(range(200))


def test_an_ack_that_finds_redis_away_is_sent_later(brokers: StreamBrokers, server: Valkey) -> None:
    """It neither raises into the worker thread nor is it forgotten: the message is not run again."""
    broker = brokers(claim_idle_ms=300)
    gate = Gate()
    act = actor(broker, gate)

    with working(broker, threads=1) as worker:
        act.send("x")
        gate.wait_begun()
        server.stop()
        gate.opened.set()
        eventually(lambda: worker.work_queue.unfinished_tasks == 0)
        server.start()
        broker.join("default", timeout=10_000)

    assert gate.seen == ["x"]


def test_an_outage_is_one_line_in_the_log_and_ends_within_a_second(
    brokers: StreamBrokers, server: Valkey, caplog: pytest.LogCaptureFixture
) -> None:
    """Consumers wait it out, without a busy loop, and resume by themselves."""
    caplog.set_level(logging.INFO, logger="workers")
    broker = brokers(claim_idle_ms=100)
    runs = Runs()
    act = actor(broker, runs)

    with working(broker):
        server.stop()
        with pytest.raises(QueueJoinTimeout):  # many reads, beats and claims fail meanwhile
            broker.join("default", timeout=700)
        server.start()
        act.send("after")
        eventually(lambda: runs.seen == ["after"], within_s=1.0)
        eventually(lambda: "broker_resumed" in caplog.text)

    assert caplog.text.count("broker_interrupted") == 1


def test_a_capped_queue_lets_its_oldest_messages_go(brokers: StreamBrokers, client: redis.Redis) -> None:
    """While nobody consumes, hints that will be repeated anyway must not fill the memory of Redis."""
    broker = brokers(queue_caps={"default": 100})
    act = actor(broker, Runs())

    broker.enqueue_many([act.message(number) for number in range(1_000)])

    assert 100 <= client.xlen(stream_of(broker)) < 300
