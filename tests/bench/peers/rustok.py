"""The platform's own jobs. `work` has what a worker process has for jobs, for a kind of its own; the relay is real."""

import asyncio
import os
import signal
import sys
import threading
from collections.abc import AsyncIterator, Mapping
from contextlib import AsyncExitStack, asynccontextmanager, closing
from uuid import UUID

import dramatiq

from rustok.bootstrap import Platform, build_consumers, build_platform
from rustok.catalog import MODULES
from rustok.db.engine import open_engine
from rustok.events.consumer import Consumer
from rustok.events.outbox import OutboxTransport
from rustok.events.store import PostgresConsumerStore
from rustok.events.wakeup import OutboxNotifier
from rustok.jobs import Leased, NewJob, enqueue
from rustok.jobs.runner import Done, JobRunner, RunnerConfig
from rustok.jobs.store import PostgresJobStore
from rustok.kernel.context import Context
from rustok.kernel.module import JobKind
from rustok.kernel.registry import build_registry
from rustok.kernel.secrets import Secrets
from rustok.runtime import SystemClock, freeze_heap
from rustok.settings import Settings, load_settings, required
from rustok.telemetry.logging import configure_logging
from rustok.testing.platform import SECRET, a_context
from tests.bench.peers.program import Marks, run_program
from workers.actors import declare_consume, declare_work
from workers.broker import StreamBroker
from workers.event_loop import EventLoopThread
from workers.queues import prefetch, streams, threads

NOOP = JobKind(name="bench.noop", summary="Nothing")
"""Its queue is one that the relay feeds."""


class _Queue:
    def __init__(self, platform: Platform, context: Context) -> None:
        self._platform = platform
        self._context = context

    async def one(self, number: int) -> None:
        await self.many(range(number, number + 1))

    async def many(self, numbers: range) -> None:
        async with self._platform.units.begin(self._context) as uow:
            await enqueue(uow, [NewJob(kind=NOOP, args={"number": number}) for number in numbers])


@asynccontextmanager
async def open_queue() -> AsyncIterator[_Queue]:
    settings, clock = load_settings(), SystemClock()
    notifier = OutboxNotifier(required(settings.system_database_url, "system_database_url"), clock)
    async with open_engine(required(settings.database_url, "database_url")) as engine:
        platform = build_platform(
            MODULES,
            engine=engine,
            transport=OutboxTransport(engine, notifier.committed),
            secrets=Secrets(SECRET),
            clock=clock,
            on_jobs_made=notifier.jobs_made,
        )
        notifying = asyncio.create_task(notifier.run())
        try:
            yield _Queue(platform, a_context(UUID(os.environ["BENCH_TENANT_ID"]), frozenset()))
        finally:
            notifying.cancel()


def _work() -> None:
    settings, stop, queues = load_settings(), threading.Event(), [NOOP.queue]
    configure_logging(settings.log_format, settings.log_level)
    signal.signal(signal.SIGTERM, lambda *_arguments: stop.set())
    broker = StreamBroker(required(settings.redis_url, "redis_url"), prefetch=prefetch(queues))
    with EventLoopThread() as loop, closing(broker):
        stack = AsyncExitStack()
        runner, consumers = loop.run(stack.enter_async_context(_open_parts(settings)))
        declare_consume(broker, loop, consumers)
        declare_work(broker, loop, runner)
        for name in streams(queues):
            broker.declare_queue(name)
        worker = dramatiq.Worker(broker, worker_threads=threads(settings.worker_threads, queues))
        freeze_heap()
        worker.start()
        stop.wait()
        worker.stop()
        loop.run(stack.aclose())


@asynccontextmanager
async def _open_parts(settings: Settings) -> AsyncIterator[tuple[JobRunner, Mapping[str, Consumer]]]:
    marks, clock = Marks(), SystemClock()

    async def noop(job: Leased) -> Done:
        marks.add(job.args["number"])
        return Done()

    url = required(settings.system_database_url, "system_database_url")
    options = {"synchronous_commit": "off"}  # as workers have it: leases that a crash loses are granted again
    async with open_engine(url, pool_size=settings.worker_threads, settings=options) as engine:
        runner = JobRunner(RunnerConfig(), PostgresJobStore(engine), {NOOP.name: noop}, clock)
        try:
            yield runner, build_consumers(build_registry(MODULES), PostgresConsumerStore(engine), clock)
        finally:
            await runner.stop()


if __name__ == "__main__":
    if sys.argv[1:] == ["work"]:
        _work()
    else:
        run_program(open_queue)
