"""`/metrics`: what this process has measured, how far the log and its consumers are, and who works."""

import asyncio
from collections import Counter
from collections.abc import Mapping, Sequence
from functools import partial

import structlog
from prometheus_client import CONTENT_TYPE_LATEST, generate_latest
from sqlalchemy.ext.asyncio import AsyncEngine
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from api.single_flight import SingleFlight
from rustok.db.failures import describe
from rustok.events.figures import LogFigures, read_figures
from rustok.jobs.figures import QueueFigures, read_needs_version, read_queue_figures
from rustok.jobs.heartbeat import WORKER_STATES, Worker, list_workers
from rustok.kernel.ports import Clock
from rustok.telemetry import metrics

log = structlog.get_logger(__name__)

_LOG_TIMEOUT_S = 5.0
"""Less than the 10 s that Prometheus waits: what the process knows of itself must arrive."""


def metrics_route(log_engine: AsyncEngine | None, clock: Clock) -> Route:
    """Return the route that Prometheus scrapes.

    The log is looked at once a second at most; what cannot be read of it is absent, never 0. Without a
    *log_engine* there is no log in a database.
    """
    log_metrics = SingleFlight(partial(_log_metrics, log_engine), clock) if log_engine else _nothing

    async def scrape(_request: Request) -> Response:
        content = generate_latest(metrics.API) + await log_metrics()
        return Response(content, headers={"Content-Type": CONTENT_TYPE_LATEST})

    return Route("/metrics", scrape)


async def _nothing() -> bytes:
    return b""


async def _log_metrics(engine: AsyncEngine) -> bytes:
    try:
        async with asyncio.timeout(_LOG_TIMEOUT_S):
            figures, queues = await read_figures(engine), await read_queue_figures(engine)
            needs_version, workers = await read_needs_version(engine), await list_workers(engine)
    except Exception as error:  # noqa: BLE001 - whatever is wrong there, the rest of the scrape goes out
        log.warning("log_figures_not_read", error=describe(error))
        return b""
    _set_gauges(figures)
    _set_queue_gauges(queues)
    _set_needs_version(needs_version)
    _set_worker_gauges(workers)
    return generate_latest(metrics.LOG)


def _set_gauges(figures: LogFigures) -> None:
    metrics.OUTBOX_PENDING.set(figures.outbox_pending)
    metrics.OUTBOX_OLDEST_AGE_SECONDS.set(figures.outbox_oldest_age_s)
    metrics.LOG_POSITION.set(figures.position)
    for gauge in (metrics.PROJECTION_LAG_EVENTS, metrics.PROJECTION_LAG_SECONDS, metrics.DEAD_LETTERS):
        gauge.clear()  # a consumer that is gone would keep its last lag
    for consumer in figures.consumers:
        metrics.PROJECTION_LAG_EVENTS.labels(consumer.consumer).set(consumer.lag_events)
        metrics.PROJECTION_LAG_SECONDS.labels(consumer.consumer).set(consumer.lag_s)
        metrics.DEAD_LETTERS.labels(consumer.consumer).set(consumer.dead)


def _set_queue_gauges(queues: Sequence[QueueFigures]) -> None:
    metrics.QUEUE_DEPTH.clear()
    metrics.QUEUE_OLDEST_AGE_SECONDS.clear()
    for figures in queues:
        metrics.QUEUE_OLDEST_AGE_SECONDS.labels(figures.queue).set(figures.oldest_age_s)
        for state in ("ready", "leased", "dead"):
            metrics.QUEUE_DEPTH.labels(figures.queue, state).set(getattr(figures, state))


def _set_needs_version(waiting: Mapping[str, int]) -> None:
    metrics.NEEDS_VERSION.clear()
    for what, count in waiting.items():
        metrics.NEEDS_VERSION.labels(what).set(count)


def _set_worker_gauges(workers: Sequence[Worker]) -> None:
    states = Counter(worker.state for worker in workers)
    for state in WORKER_STATES:
        metrics.WORKERS.labels(state).set(states[state])
    metrics.WORKERS_ONLINE.set(len(workers) - states["lost"])
    metrics.WORKERS_SANDBOX.clear()
    living = (worker for worker in workers if worker.state != "lost")
    for level, count in Counter(worker.sandbox["level"] for worker in living).items():
        metrics.WORKERS_SANDBOX.labels(level).set(count)
