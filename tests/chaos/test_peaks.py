"""What is said to stay under a cap was measured: the largest value that was seen, and whether anybody looked."""

import os
import subprocess
import sys
from collections.abc import Iterator

import psutil
import pytest
import redis
from dramatiq import Message

from rustok.embedded import free_port
from tests.chaos.evidence import Hits
from tests.chaos.peaks import CAPS, MIB, Peaks
from workers.broker import StreamBroker

MESSAGE: Message[object] = Message(queue_name="consume", actor_name="consume", args=(), kwargs={}, options={})


@pytest.fixture
def broker(redis_url: str) -> Iterator[StreamBroker]:
    """What relays send messages with, on an empty Redis."""
    with redis.Redis.from_url(redis_url) as client:
        client.flushall()
    broker = StreamBroker(redis_url)
    yield broker
    broker.close()


def seen(peaks: Peaks, name: str) -> float:
    return peaks.bounds[name].measured


def test_the_memory_of_a_process_is_what_the_kernel_holds_for_it() -> None:
    """In MiB; of several processes the largest."""
    peaks, memory = Peaks(), psutil.Process().memory_info().rss / MIB

    with subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE) as small:
        peaks.see_processes({"small": small.pid, "this one": os.getpid()})
        small.communicate()

    assert seen(peaks, "MiB of a process") == pytest.approx(memory, rel=0.1)


def test_a_process_that_has_just_ended_is_passed_over() -> None:
    """Scenarios kill them: the others are looked at nevertheless."""
    peaks = Peaks()
    with subprocess.Popen([sys.executable, "-c", ""]) as ended:
        ended.wait()

    peaks.see_processes({"ended": ended.pid, "this one": os.getpid()})

    assert peaks.controls["looks at MiB of a process"].count == 1
    assert seen(peaks, "MiB of a process") > 0


def test_the_longest_queue_of_the_broker_is_seen(broker: StreamBroker, redis_url: str) -> None:
    """By the names that the broker gives them, and what Redis says of its memory."""
    for queue, messages in (("consume", 3), ("jobs.scripts", 5), ("jobs.calls", 1)):
        broker.declare_queue(queue)
        broker.enqueue_many([MESSAGE.copy(queue_name=queue) for _ in range(messages)])
    peaks = Peaks()

    peaks.see_redis(redis_url)

    assert seen(peaks, "messages in a queue") == 5
    assert 0.1 < seen(peaks, "MiB of Redis") < CAPS["MiB of Redis"]


def test_what_has_gone_down_again_was_as_large_as_it_was(broker: StreamBroker, redis_url: str) -> None:
    """A queue that is empty in the end, and an outbox, may have been over their caps."""
    broker.declare_queue("consume")
    broker.enqueue_many([MESSAGE] * 4)
    peaks = Peaks()
    peaks.see_redis(redis_url)
    peaks.see_outbox(60_000)

    broker.flush("consume")
    peaks.see_redis(redis_url)
    peaks.see_outbox(0)

    outbox = peaks.bounds["rows of the outbox"]
    assert (seen(peaks, "messages in a queue"), outbox.measured, outbox.most) == (4, 60_000, CAPS["rows of the outbox"])


def test_a_redis_that_is_away_is_not_seen() -> None:
    """That is a fault that scenarios play; it counts as no look."""
    peaks = Peaks()

    peaks.see_redis(f"redis://127.0.0.1:{free_port()}/0")

    assert (seen(peaks, "MiB of Redis"), peaks.controls["looks at MiB of Redis"].count) == (0, 0)


def test_each_thing_that_is_bounded_is_a_control() -> None:
    """Else nobody would notice that it is not measured any more."""
    peaks = Peaks()

    peaks.see_outbox(0)

    looks = {f"looks at {name}": Hits(0) for name in CAPS}
    assert peaks.controls == {**looks, "looks at rows of the outbox": Hits(1)}
