"""What a worker process is put together from."""

import asyncio
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import asdict, dataclass
from typing import Any

import structlog
from sqlalchemy.ext.asyncio import AsyncEngine

from rustok.bootstrap import Platform, build_consumers, build_platform
from rustok.catalog import MODULES
from rustok.db.engine import open_engine
from rustok.db.failures import describe, is_transient
from rustok.db.fences import refuse_open_fences
from rustok.db.migrate import refuse_older_schema
from rustok.egress import Egress, EgressConfig, parse_networks
from rustok.events.consumer import Consumer
from rustok.events.outbox import OutboxTransport
from rustok.events.store import PostgresConsumerStore
from rustok.events.wakeup import OutboxNotifier
from rustok.jobs.heartbeat import Heartbeat
from rustok.jobs.kinds import DISCARD, REDRIVE
from rustok.jobs.run_limit import limited
from rustok.jobs.runner import JobHandler, JobRunner, RunnerConfig
from rustok.jobs.store import PostgresJobStore
from rustok.kernel.module import JobKind
from rustok.kernel.ports import Clock
from rustok.kernel.secrets import Secrets
from rustok.modules.alloy import CALL, CHECK, RUN
from rustok.runtime import SystemClock
from rustok.sandbox.cage import Cage, CageConfig
from rustok.settings import Settings, required
from rustok.telemetry.metrics import SANDBOX_EVENTS, SANDBOX_LEVEL, SANDBOX_PROCESSES, SANDBOX_RSS_BYTES
from workers.call_circuits import CallCircuits
from workers.dead_letters import Discarding, Redriving
from workers.eager import EagerRuns
from workers.script_calls import ScriptCalls
from workers.script_checks import ScriptChecks
from workers.script_runs import ScriptRuns

log = structlog.get_logger(__name__)

_CAGED = frozenset({RUN, CHECK})
_SYSTEM = {"synchronous_commit": "off"}
"""What the role system commits, leases above all, is given and taken again if a crash of the server loses it."""
_CONNECTIONS_A_CHILD = 2
_PATIENCE_S = 3.0
"""A supervisor kills who has not stopped after ten seconds."""


@dataclass(frozen=True, slots=True)
class WorkerParts:
    platform: Platform
    consumers: Mapping[str, Consumer]
    runner: JobRunner
    cage: Cage
    store: PostgresConsumerStore
    system_engine: AsyncEngine
    clock: Clock
    notifier: OutboxNotifier
    heartbeat: Heartbeat

    def can_do(self, kind: JobKind) -> bool:
        """Tell whether this worker can do such jobs now: without a cage it would only hand scripts back."""
        return kind not in _CAGED or self.cage.report.level != "none"


class StoppedEarly(Exception):
    """The process was told to stop before its databases had answered."""


@asynccontextmanager
async def open_parts(settings: Settings, is_stopped: Callable[[], bool] = lambda: False) -> AsyncIterator[WorkerParts]:
    """Put a worker together: two pools of connections, the platform, consumers, and the cage, which is started.

    Raises:
        Misconfigured: migrations are missing, or row level security does not hold.
        StoppedEarly: *is_stopped* became true while the databases were waited for.

    """
    app_url = required(settings.database_url, "database_url")
    system_url = required(settings.system_database_url, "system_database_url")
    clock = SystemClock()
    children = settings.sandbox_children
    async with (
        open_engine(
            system_url, pool_size=settings.worker_threads, settings=_SYSTEM, application_name="rustok-worker"
        ) as system_engine,
        open_engine(
            app_url, pool_size=_CONNECTIONS_A_CHILD * children, application_name="rustok-scripts"
        ) as app_engine,
        Cage(CageConfig(children=children, unsafe_dev=settings.sandbox == "unsafe-dev"), _counted()) as cage,
    ):
        await _check_databases(system_engine, app_engine, is_stopped, clock)
        notifier = OutboxNotifier(system_url, clock)
        platform = build_platform(
            MODULES,
            engine=app_engine,
            transport=OutboxTransport(app_engine, notifier.committed),
            secrets=Secrets(required(settings.secret, "secret")),
            clock=clock,
            on_jobs_made=notifier.jobs_made,
        )
        egress = Egress(EgressConfig(allowed_networks=parse_networks(settings.egress_allowed_networks)))
        runs = ScriptRuns(system_engine, platform, cage, clock, children)
        handlers: Mapping[JobKind, JobHandler] = {
            RUN: runs,
            CHECK: ScriptChecks(system_engine, platform, cage),
            CALL: ScriptCalls(system_engine, platform, CallCircuits(egress, clock), clock),
            REDRIVE: Redriving(system_engine),
            DISCARD: Discarding(system_engine),
        }
        jobs = PostgresJobStore(system_engine)
        limited_handlers = {kind.name: limited(kind, handler) for kind, handler in handlers.items()}
        runner = JobRunner(RunnerConfig(), jobs, limited_handlers, clock)
        heartbeat = Heartbeat(system_engine, clock, lambda: _told(cage), lambda: runner.in_hand)
        eager = EagerRuns(RUN.queue, runs, runner, notifier.jobs_made, lambda: heartbeat.wish is not None)

        def jobs_made() -> None:
            if cage.report.level == "none" or not eager.jobs_made():
                notifier.jobs_made()

        store = PostgresConsumerStore(system_engine, platform.registry.known_events())
        try:
            yield WorkerParts(
                platform=platform,
                consumers=build_consumers(platform.registry, store, clock, on_jobs_made=jobs_made),
                runner=runner,
                cage=cage,
                store=store,
                system_engine=system_engine,
                clock=clock,
                notifier=notifier,
                heartbeat=heartbeat,
            )
        finally:
            await runner.stop()
            await eager.close()


async def _check_databases(
    system_engine: AsyncEngine, app_engine: AsyncEngine, is_stopped: Callable[[], bool], clock: Clock
) -> None:
    """Return once the databases have answered, and may be worked on. Raises as `open_parts` does."""
    while not is_stopped():
        try:
            async with asyncio.timeout(_PATIENCE_S):
                await refuse_older_schema(system_engine)
                await refuse_open_fences(system_engine, "RUSTOK_SYSTEM_DATABASE_URL")
                await refuse_open_fences(app_engine, "RUSTOK_DATABASE_URL")
        except Exception as error:
            if not is_transient(error):
                raise
            log.warning("worker_waits", reason=describe(error))
            await clock.sleep(1.0)
        else:
            return
    raise StoppedEarly


def _told(cage: Cage) -> dict[str, Any]:
    """Return what protects this worker, for others to see; its metrics say the same."""
    SANDBOX_LEVEL.clear()
    SANDBOX_LEVEL.labels(cage.report.level).set(1)
    SANDBOX_PROCESSES.set(cage.figures.processes)
    SANDBOX_RSS_BYTES.set(cage.figures.rss_bytes)
    return {**asdict(cage.report), **asdict(cage.figures)}


def _counted() -> Callable[[str], None]:
    return lambda event: SANDBOX_EVENTS.labels(event).inc()
