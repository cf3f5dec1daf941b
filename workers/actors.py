"""What workers do with messages."""

import time
from collections.abc import Mapping
from contextlib import suppress
from uuid import UUID

import dramatiq
import structlog

from rustok.db.failures import is_transient
from rustok.events.consumer import Consumer
from rustok.jobs.runner import JobRunner
from rustok.telemetry.metrics import CONSUME_SECONDS, CONSUMED_EVENTS
from workers.broker import BrokerUnavailable
from workers.event_loop import EventLoopThread
from workers.queues import CONSUME, WORK, consume_message

log = structlog.get_logger(__name__)


async def drain(consumer: Consumer) -> bool:
    """Drain *consumer* and count what that was; return whether it should be drained again. Raises as `drain` does."""
    started_s = time.perf_counter()
    counts, has_more = await consumer.drain()
    CONSUME_SECONDS.labels(consumer.name).observe(time.perf_counter() - started_s)
    CONSUMED_EVENTS.labels(consumer.name).inc(counts.read)
    if counts.read:
        log.debug("events_consumed", consumer=consumer.name, count=counts.read, parked=counts.parked)
    return has_more


def declare_consume(broker: dramatiq.Broker, loop: EventLoopThread, consumers: Mapping[str, Consumer]) -> None:
    """Declare the actor of consumers. A message is a hint: losing or repeating one changes nothing."""

    def consume(consumer: str) -> None:
        if consumer not in consumers:
            log.warning("consumer_unknown", consumer=consumer)  # an older or newer release knows it
            return
        try:
            has_more = loop.run(drain(consumers[consumer]))
        except Exception as error:
            if not is_transient(error):
                raise
            log.warning("consumer_waited", consumer=consumer, reason=str(error))
            return
        if has_more:
            with suppress(BrokerUnavailable):  # the relay's sweep comes back to it
                broker.enqueue(consume_message(consumer))

    dramatiq.actor(broker=broker, actor_name=CONSUME, queue_name=CONSUME, max_retries=0)(consume)


def declare_work(broker: dramatiq.Broker, loop: EventLoopThread, runner: JobRunner) -> None:
    """Declare the actor of jobs, whatever queue their messages come through. A message is a hint, here too."""

    def work(ids: list[str]) -> None:
        try:
            done = loop.run(runner.work([UUID(job_id) for job_id in ids]))
        except Exception as error:
            if not is_transient(error):
                raise
            log.warning("jobs_waited", count=len(ids), reason=str(error))  # the feeder comes back to them
            return
        log.debug("jobs_done", count=done, hinted=len(ids))

    dramatiq.actor(broker=broker, actor_name=WORK, queue_name=CONSUME, max_retries=0)(work)
