"""The relay process: sequencer, hints, sweep and housekeeping. `python -m workers.relay`; any number may run."""

import asyncio
import signal
from collections import deque
from collections.abc import Awaitable, Callable, Sequence
from contextlib import suppress
from functools import partial
from typing import Any

import structlog
import uvloop
from dramatiq import Message
from prometheus_client import start_http_server
from sqlalchemy.ext.asyncio import AsyncEngine

from rustok.catalog import MODULES
from rustok.db.engine import create_engine
from rustok.db.failures import describe, is_transient
from rustok.db.fences import refuse_open_fences
from rustok.db.idempotency import purge_answers
from rustok.db.migrate import refuse_older_schema
from rustok.events.hints import CoalescedHints, Sweep
from rustok.events.lateness import count_caught_up
from rustok.events.retention import shorten_log
from rustok.events.sequencer import Sequencer, SequencerConfig
from rustok.events.store import PostgresConsumerStore, PostgresSequencerStore
from rustok.events.wakeup import OutboxWake
from rustok.jobs.feeder import Feeder, FeederConfig, JobsMessage
from rustok.jobs.history import keep_history
from rustok.jobs.rescuer import Rescuer
from rustok.jobs.schedule_store import PostgresScheduleStore
from rustok.jobs.scheduler import Scheduler
from rustok.jobs.store import PostgresJobStore
from rustok.kernel.errors import Unavailable
from rustok.kernel.ports import Clock, MadeJob
from rustok.kernel.registry import build_registry
from rustok.modules.access import purge_sign_ins
from rustok.modules.alloy import purge
from rustok.runtime import LocalWake, SystemClock, freeze_heap
from rustok.settings import Settings, load_settings, required
from rustok.telemetry import metrics
from rustok.telemetry.logging import configure_logging
from workers.broker import BrokerUnavailable, StreamBroker
from workers.main import refuse_memory_transport, start
from workers.queues import CONSUME, caps, consume_message, job_queues, streams, windows, work_message

_MOST_MADE = 100
"""Jobs that the feeder may not have heard of yet; what is beyond is looked for."""

log = structlog.get_logger(__name__)


def main() -> None:
    settings = load_settings()
    configure_logging(settings.log_format, settings.log_level)
    refuse_memory_transport(settings)
    if settings.relay_metrics_port:
        start_http_server(settings.relay_metrics_port, addr=settings.metrics_host, registry=metrics.RELAY)
    with suppress(asyncio.CancelledError):
        uvloop.run(_until_signalled(settings))
    log.info("relay_stopped")


async def run_relay(settings: Settings) -> None:
    """Move events from the outbox to the log and wake consumers, until cancelled."""
    clock = SystemClock()
    url = required(settings.system_database_url, "system_database_url")
    engine = create_engine(url, pool_size=4, application_name="rustok-relay")
    registry = build_registry(MODULES)
    queues = job_queues(registry.jobs.values())
    broker = StreamBroker(required(settings.redis_url, "redis_url"), queue_caps=caps(queues))
    subscriptions = registry.consumed()
    store = PostgresConsumerStore(engine, registry.known_events())
    try:
        await _prepared(engine, partial(store.prepare, subscriptions), clock)
        jobs, jobs_wake = PostgresJobStore(engine), LocalWake()
        made: deque[MadeJob] = deque(maxlen=_MOST_MADE)
        wake = OutboxWake(url, clock, jobs_wake, made.extend)
        sender = _DramatiqSender(broker, queues)
        hints = CoalescedHints(subscriptions, sender.wake_consumers, clock, LocalWake())
        sequencer = Sequencer(SequencerConfig(), PostgresSequencerStore(engine), clock, wake, hints)
        freeze_heap()
        log.info("relay_started", consumers=sorted(subscriptions))
        async with asyncio.TaskGroup() as tasks:
            services = (
                wake,
                hints,
                Sweep(store, hints, clock),
                sequencer,
                Feeder(
                    FeederConfig(),
                    windows(queues),
                    store=jobs,
                    send=sender.hint_jobs,
                    clock=clock,
                    wake=jobs_wake,
                    made=made,
                ),
                Rescuer(jobs, clock),
                Scheduler(registry.jobs, PostgresScheduleStore(engine), clock),
            )
            for service in services:
                tasks.create_task(service.run())
            tasks.create_task(_every(1.0, partial(count_caught_up, engine), clock))
            tasks.create_task(_every(60.0, partial(purge_answers, engine), clock))
            tasks.create_task(_every(60.0, partial(purge_sign_ins, engine), clock))
            tasks.create_task(_every(3600.0, partial(keep_history, engine, settings.finished_jobs_kept_days), clock))
            tasks.create_task(_every(3600.0, partial(purge, engine, settings.finished_jobs_kept_days), clock))
            tasks.create_task(_every(3600.0, partial(shorten_log, engine, settings.event_log_kept_days), clock))
    finally:
        broker.close()
        await engine.dispose()


class _DramatiqSender:
    """Sends hints as messages. Redis is asked from a thread: it may take its time, the sequencer may not."""

    def __init__(self, broker: StreamBroker, queues: Sequence[str]) -> None:
        self._broker = broker
        for name in (CONSUME, *streams(queues)):
            broker.declare_queue(name)

    async def wake_consumers(self, consumers: Sequence[str]) -> None:
        """Tell these consumers that there is news. Raises Unavailable."""
        await self._send([consume_message(consumer) for consumer in consumers])

    async def hint_jobs(self, queue: str, messages: Sequence[JobsMessage]) -> None:
        """Send hints at jobs of *queue*. Raises Unavailable."""
        await self._send([work_message(queue, message.job_ids, express=message.express) for message in messages])

    async def _send(self, messages: Sequence[Message[Any]]) -> None:
        try:
            await asyncio.to_thread(self._broker.enqueue_many, messages)
        except BrokerUnavailable as error:
            raise Unavailable(f"Redis does not answer: {error}") from error
        metrics.HINTS_SENT.inc(len(messages))


async def _prepared(engine: AsyncEngine, prepare: Callable[[], Awaitable[None]], clock: Clock) -> None:
    """Prepare the database, as soon as it answers. Raises Misconfigured where migrations or fences are missing."""
    while True:
        try:
            await refuse_older_schema(engine)
            await refuse_open_fences(engine, "RUSTOK_SYSTEM_DATABASE_URL")
            await prepare()
        except Exception as error:
            if not is_transient(error):
                raise
            log.warning("relay_waits", reason=describe(error))
            await clock.sleep(1.0)
        else:
            return


async def _every(interval_s: float, work: Callable[[], Awaitable[object]], clock: Clock) -> None:
    """Do *work* again and again until cancelled. Housekeeping that fails is no reason to stop delivering."""
    while True:
        try:
            await work()
        except Exception as error:
            log.warning("relay_work_failed", reason=describe(error), exc_info=not is_transient(error))
        await clock.sleep(interval_s)


async def _until_signalled(settings: Settings) -> None:
    task = asyncio.ensure_future(run_relay(settings))
    for signum in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(signum, task.cancel)
    await task


if __name__ == "__main__":
    start(main)
