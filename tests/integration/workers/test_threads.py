"""Jobs that take their time leave the threads of consumers alone."""

import asyncio
import threading
from collections.abc import Sequence
from typing import cast
from uuid import UUID

import dramatiq

from rustok.events.consumer import Consumer, Counts, Drained
from rustok.jobs.runner import JobRunner
from rustok.kernel.ids import uuid7
from rustok.modules.alloy import CALL, CHECK, RUN
from tests.waiting import WAIT_S, eventually
from workers.actors import declare_consume, declare_work
from workers.broker import StreamBroker
from workers.event_loop import EventLoopThread
from workers.main import open_queues
from workers.queues import consume_message, job_queues, prefetch, threads, work_message

KINDS = (RUN, CHECK, CALL)
MESSAGES_IN_HAND = 48


class SlowJobs:
    """Jobs that go on until `end`; `begun` counts their messages."""

    def __init__(self) -> None:
        self.begun = 0
        self._end = asyncio.Event()

    async def work(self, ids: Sequence[UUID]) -> int:
        self.begun += 1
        await self._end.wait()
        return len(ids)

    async def end(self) -> None:
        self._end.set()


class Drains:
    """A consumer that tells when it was woken."""

    def __init__(self) -> None:
        self.was_woken = threading.Event()

    async def drain(self) -> Drained:
        self.was_woken.set()
        return Drained(Counts(), has_more=False)


def test_consumers_are_woken_however_many_jobs_are_under_way(redis_url: str) -> None:
    """Calls to slow servers and long scripts of one tenant must not stop everybody's index."""
    queues, jobs, drains = job_queues(KINDS), SlowJobs(), Drains()
    broker = StreamBroker(redis_url, namespace=f"threads-{uuid7()}", prefetch=prefetch(queues))
    with EventLoopThread() as loop:
        declare_consume(broker, loop, {"clocks": cast("Consumer", drains)})
        declare_work(broker, loop, cast("JobRunner", jobs))
        worker = dramatiq.Worker(broker, worker_threads=threads(1, queues), worker_timeout=100)
        worker.start()
        open_queues(broker, KINDS)  # as when the cage comes late
        lanes = [(queue, express) for queue in queues for express in (False, True)]
        broker.enqueue_many([work_message(queue, [uuid7()], express=express) for queue, express in 10 * lanes])
        eventually(lambda: jobs.begun == MESSAGES_IN_HAND)

        broker.enqueue(consume_message("clocks"))

        was_woken = drains.was_woken.wait(WAIT_S)
        loop.run(jobs.end())
        worker.stop()
        broker.close()
    assert was_woken


def test_a_flood_leaves_the_express_lane_alone(redis_url: str) -> None:
    """Its jobs hold the threads of the other lane for as long as they like."""
    queues, jobs = [RUN.queue], SlowJobs()
    broker = StreamBroker(redis_url, namespace=f"threads-{uuid7()}", prefetch=prefetch(queues))
    with EventLoopThread() as loop:
        declare_work(broker, loop, cast("JobRunner", jobs))
        worker = dramatiq.Worker(broker, worker_threads=threads(1, queues), worker_timeout=100)
        worker.start()
        open_queues(broker, [RUN])
        broker.enqueue_many([work_message(RUN.queue, [uuid7()]) for _ in range(50)])
        eventually(lambda: jobs.begun == 8)

        broker.enqueue(work_message(RUN.queue, [uuid7()], express=True))

        eventually(lambda: jobs.begun == 9)
        loop.run(jobs.end())
        worker.stop()
        broker.close()
