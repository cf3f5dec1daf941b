"""A quiet worker leaves work to others and goes on with what it has; a stopped one ends then."""

import threading
from collections.abc import Awaitable, Callable, Iterator, Sequence
from contextlib import contextmanager

import dramatiq
import pytest
from sqlalchemy.ext.asyncio import AsyncEngine

from rustok.db.engine import open_engine
from rustok.jobs.heartbeat import WorkerState, list_workers
from rustok.jobs.wishes import Whom, direct
from rustok.kernel.ids import uuid7
from rustok.settings import Settings, required
from tests.integration.workers.conftest import working
from tests.waiting import eventually, eventually_async
from workers.broker import StreamBroker
from workers.intake import Intake

QUEUE, ACTOR = "sums", "add"
PREFETCH = 4


class Hands:
    """A worker with one thread, whose messages are each in hand until `go_on`; `begun` has their numbers."""

    def __init__(self, redis_url: str, namespace: str) -> None:
        self.begun: list[int] = []
        self.go_on = threading.Event()
        self.broker = StreamBroker(redis_url, namespace=namespace, prefetch={QUEUE: PREFETCH})
        dramatiq.actor(broker=self.broker, actor_name=ACTOR, queue_name=QUEUE, max_retries=0)(self._add)
        self.worker = dramatiq.Worker(self.broker, worker_threads=1, worker_timeout=50)
        self.intake = Intake(self.broker, self.worker)

    def _add(self, number: int) -> None:
        self.begun.append(number)
        self.go_on.wait()

    def send(self, numbers: Sequence[int]) -> None:
        messages: list[dramatiq.Message[None]] = [
            dramatiq.Message(QUEUE, ACTOR, (number,), {}, {}) for number in numbers
        ]
        self.broker.enqueue_many(messages)

    @contextmanager
    def at_work(self) -> Iterator[None]:
        self.worker.start()
        try:
            yield
        finally:
            self.go_on.set()
            self.worker.stop()
            self.broker.close()


@pytest.fixture
def pair(redis_url: str) -> tuple[Hands, Hands]:
    """Two workers of the same queue."""
    namespace = f"quiet-{uuid7()}"
    return Hands(redis_url, namespace), Hands(redis_url, namespace)


def test_a_quiet_worker_gives_back_what_it_has_not_begun(pair: tuple[Hands, Hands]) -> None:
    """At once, also what it had fetched; what it has begun it finishes, and what comes later it leaves alone."""
    quiet, other = pair
    other.go_on.set()
    with quiet.at_work():
        quiet.send(range(PREFETCH))
        eventually(lambda: quiet.begun and quiet.worker.work_queue.qsize() == PREFETCH - 1)

        quiet.intake.close()
        quiet.send(range(PREFETCH, 20))
        with other.at_work():

            def others_have_the_rest() -> bool:
                quiet.intake.close()  # again, as its process does every second
                return len(other.begun) == 19

            eventually(others_have_the_rest)
        in_hand = list(quiet.begun)
        quiet.intake.open()
        quiet.send([20])
        quiet.go_on.set()
        eventually(lambda: quiet.begun == [*in_hand, 20])

    assert sorted([*in_hand, *other.begun]) == list(range(20))
    assert in_hand == [0]


async def test_a_worker_does_what_it_is_told(settings: Settings) -> None:
    """It says that it is quiet, takes work again, and ends when it is stopped."""
    async with open_engine(required(settings.system_database_url, "system_database_url")) as engine:
        with working(settings) as thread:
            await eventually_async(is_in(engine, "idle"))
            await direct(engine, Whom(), "quiet")
            await eventually_async(is_in(engine, "quiet"))
            await direct(engine, Whom(), None)
            await eventually_async(is_in(engine, "idle"))
            await direct(engine, Whom(), "stop")
            eventually(lambda: not thread.is_alive())

        assert await list_workers(engine) == []


def is_in(engine: AsyncEngine, state: WorkerState) -> Callable[[], Awaitable[bool]]:
    """Return what tells whether the only worker is in *state*."""

    async def look() -> bool:
        return [worker.state for worker in await list_workers(engine)] == [state]

    return look
