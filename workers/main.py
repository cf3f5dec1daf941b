"""One worker process: `python -m workers.main`. Start as many as the load wants; none knows of the others."""

import signal
import sys
import threading
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import AbstractAsyncContextManager, AsyncExitStack, ExitStack, closing, contextmanager, suppress

import dramatiq
import structlog
from prometheus_client import start_http_server

from rustok.catalog import MODULES
from rustok.db.failures import translated_failures
from rustok.jobs.heartbeat import Heartbeat
from rustok.kernel.errors import Misconfigured, RustokError
from rustok.kernel.module import JobKind
from rustok.runtime import freeze_heap
from rustok.settings import Settings, load_settings, required
from rustok.telemetry import metrics
from rustok.telemetry.logging import configure_logging
from workers.actors import declare_consume, declare_work
from workers.broker import StreamBroker
from workers.bypass import Bypass, BypassConfig
from workers.event_loop import EventLoopThread
from workers.intake import Intake
from workers.newcomer import Newcomer
from workers.parts import StoppedEarly, WorkerParts, open_parts
from workers.queues import job_queues, prefetch, streams, threads
from workers.watchdog import Watchdog, deadline

log = structlog.get_logger(__name__)

STOP_TIMEOUT_S = 6.0
"""Messages in hand get this long to finish; the rest is handed back. A supervisor kills after 10 s."""
_ENDING_S = 30.0
"""A worker that was told to end by `rustok workers stop` has no supervisor that kills it."""
_TICK_S = 1.0
"""How often a worker looks at itself: what it is wanted to do, what it can do, whether its event loop lives."""


def start(root: Callable[[], None]) -> None:
    """Run *root*; a coded error ends the process with one line."""
    try:
        with translated_failures():
            root()
    except RustokError as error:
        sys.exit(f"{error.code}: {error}")


def main() -> None:
    settings = load_settings()
    configure_logging(settings.log_format, settings.log_level)
    refuse_memory_transport(settings)
    stop = threading.Event()
    for signum in (signal.SIGTERM, signal.SIGINT):
        signal.signal(signum, lambda *_arguments: stop.set())
    if settings.worker_metrics_port:
        start_http_server(settings.worker_metrics_port, addr=settings.metrics_host, registry=metrics.WORKER)
    run_worker(settings, stop)


def run_worker(settings: Settings, stop: threading.Event) -> None:
    """Work until *stop* is set, then finish what is in hand and hand back the rest."""
    kinds = [kind for module in MODULES for kind in module.jobs]
    queues = job_queues(kinds)
    broker = StreamBroker(required(settings.redis_url, "redis_url"), prefetch=prefetch(queues))
    with (
        suppress(StoppedEarly),
        ExitStack() as ending,
        EventLoopThread() as loop,
        closing(broker),
        _opened(loop, open_parts(settings, stop.is_set)) as parts,
    ):
        declare_consume(broker, loop, parts.consumers)
        declare_work(broker, loop, parts.runner)
        open_queues(broker, filter(parts.can_do, kinds))
        worker = dramatiq.Worker(broker, worker_threads=threads(settings.worker_threads, queues))
        freeze_heap()
        loop.start(parts.notifier.run())
        loop.start(parts.heartbeat.run())
        loop.start(_bypass(broker, parts, kinds, stop).run())
        newcomer = _newcomer(parts, kinds, stop)
        loop.start(newcomer.run_events())
        loop.start(newcomer.run_jobs())
        worker.start()
        _tell_started(settings, parts)
        watchdog, intake = Watchdog(loop), Intake(broker, worker)
        while not (stop.wait(_TICK_S) or _is_done(parts)):
            watchdog.tick()
            follow(parts.heartbeat, intake)
            open_queues(broker, filter(parts.can_do, kinds))  # the cage may be there by now
        ending.enter_context(deadline(_ENDING_S))
        worker.stop(timeout=int(STOP_TIMEOUT_S * 1000))
        with suppress(Exception):  # it will be missed soon enough
            loop.run(parts.heartbeat.leave())
    log.info("worker_stopped")


def open_queues(broker: dramatiq.Broker, kinds: Iterable[JobKind]) -> None:
    """Take messages about jobs of *kinds* from now on."""
    for name in streams(job_queues(kinds)):
        broker.declare_queue(name)


def follow(heartbeat: Heartbeat, intake: Intake) -> None:
    """Be quiet, or not, as the last beat has told."""
    wants_quiet = heartbeat.wish is not None
    if wants_quiet:
        intake.close()
    elif heartbeat.is_quiet:
        intake.open()
    if wants_quiet != heartbeat.is_quiet:
        heartbeat.is_quiet = wants_quiet
        log.info("worker_quiet" if wants_quiet else "worker_resumed", wish=heartbeat.wish)


def _is_done(parts: WorkerParts) -> bool:
    """Tell whether an operator has stopped this worker, and nothing is in hand any more."""
    return parts.heartbeat.wish == "stop" and parts.heartbeat.is_quiet and not parts.runner.in_hand


def _bypass(broker: StreamBroker, parts: WorkerParts, kinds: Sequence[JobKind], stop: threading.Event) -> Bypass:
    return Bypass(
        BypassConfig(),
        # Who stops, or is quiet, begins nothing.
        outage_s=lambda: 0.0 if stop.is_set() or parts.heartbeat.wish else broker.outage_s,
        consumers=parts.consumers,
        checkpoints=parts.store,
        runner=parts.runner,
        queues=lambda: job_queues(filter(parts.can_do, kinds)),
        clock=parts.clock,
    )


def _newcomer(parts: WorkerParts, kinds: Sequence[JobKind], stop: threading.Event) -> Newcomer:
    return Newcomer(
        parts.system_engine,
        consumers=parts.consumers,
        known=parts.platform.registry.known_events(),
        runner=parts.runner,
        kinds=lambda: [kind.name for kind in kinds if parts.can_do(kind)],
        is_quiet=lambda: stop.is_set() or parts.heartbeat.wish is not None,
        clock=parts.clock,
    )


@contextmanager
def _opened(loop: EventLoopThread, manager: AbstractAsyncContextManager[WorkerParts]) -> Iterator[WorkerParts]:
    """Open *manager* on *loop* for this thread."""
    stack = AsyncExitStack()
    try:
        yield loop.run(stack.enter_async_context(manager))
    finally:
        loop.run(stack.aclose())


def _tell_started(settings: Settings, parts: WorkerParts) -> None:
    report = parts.cage.report
    log.info("worker_started", threads=settings.worker_threads, consumers=sorted(parts.consumers), cage=report.level)
    if report.level == "none":
        log.error("scripts_refused", layers=dict(report.layers), detail=report.detail)
    elif report.level == "unsafe-dev":
        log.error("scripts_unprotected", layers=dict(report.layers), why="RUSTOK_SANDBOX=unsafe-dev")


def refuse_memory_transport(settings: Settings) -> None:
    """Raise Misconfigured under L0: its log is in another process, so there is nothing to read here."""
    if settings.event_transport == "memory":
        raise Misconfigured(
            "RUSTOK_EVENT_TRANSPORT=memory keeps the log inside the API process: "
            "unset it (outbox) to run a relay or workers."
        )


if __name__ == "__main__":
    start(main)
