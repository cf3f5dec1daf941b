"""Whether tenants that flood, or have slow jobs, take the workers from others; beside it, first come, first served."""

import asyncio
import time
from collections.abc import AsyncIterator, Collection, Sequence
from contextlib import asynccontextmanager, closing
from dataclasses import dataclass, field
from itertools import cycle
from multiprocessing import get_context
from multiprocessing.connection import Connection
from statistics import fmean
from typing import Any, Self
from uuid import UUID

import dramatiq
import uvloop
from sqlalchemy import text

from rustok.catalog import MODULES
from rustok.db.engine import create_engine
from rustok.db.transaction import begin, run_alone
from rustok.jobs import Leased, finish
from rustok.jobs.feeder import Feeder, FeederConfig, JobsMessage
from rustok.jobs.limits import set_limit
from rustok.jobs.pauses import Scope
from rustok.jobs.runner import JobRunner, RunnerConfig
from rustok.jobs.store import PostgresJobStore
from rustok.kernel.ids import uuid7
from rustok.runtime import LocalWake, SystemClock
from rustok.telemetry.logging import configure_logging
from rustok.testing import Database, PlatformUnderTest
from tests.bench.figures import percentile
from tests.bench.stage import Stage
from tests.bench.table import Finding, Report, Target
from workers.actors import declare_work
from workers.broker import StreamBroker
from workers.event_loop import EventLoopThread
from workers.fair_turns import FairTurns
from workers.queues import prefetch, streams, threads, windows, work_message

_QUEUE, _KIND = "scripts", "bench.sleep"
_FLOOD = 100_000
_OTHERS = 50
_JOB_S, _SHORT_JOB_S = 0.05, 0.01
"""The worker's 16 are the limit of the one, the processors of the other."""
_SLOTS = 16
"""Jobs that the worker does at a time, as many as one with four children does runs of scripts."""

_METHOD = (
    "jobs that sleep, 16 at a time, with the production's feeder in one process, broker and runner in another, on "
    "PostgreSQL and Valkey. Wait: from the creation of a job to the start of its handler, of {others} tenants with a "
    "job of 50 ms, or 10 ms, a second each, without and beside a tenant that has {flood:,} such jobs waiting. Shares: "
    "two tenants with backlogs, jobs of 500 ms and of 10 ms, the worker-seconds that each gets; Jain's index of them, "
    "over the weights, is 1 if shares are equal and 0.5 if one has all. Beside it, by the same code: a feeder that "
    "sends what has been due for the longest."
)
_ADD = text(
    """
    INSERT INTO jobs (tenant_id, id, queue, kind, args, priority, state, max_attempts, due_at, actor, correlation_id,
                      created_at)
    SELECT :tenant_id, gen_random_uuid(), :queue, 'bench.sleep', jsonb_build_object('s', CAST(:seconds AS float)), 0,
           'ready', 5, clock_timestamp(), 'bench:1', gen_random_uuid(), clock_timestamp()
      FROM generate_series(1, :count)
    """
)
_FIRST_DUE = text(
    """
    SELECT id, tenant_id FROM jobs
     WHERE queue = :queue AND state = 'ready' AND lease_token IS NULL AND due_at <= now()
       AND id <> ALL (CAST(:except_ids AS uuid[]))
     ORDER BY due_at LIMIT :limit
    """
)


class _FirstCome(PostgresJobStore):
    """Knows no tenants: what has been due for the longest comes first."""

    async def ready(
        self,
        queue: str,
        except_ids: Collection[UUID],
        limit: int,
        limit_a_tenant: int,  # noqa: ARG002 - the port has it
    ) -> Sequence[tuple[UUID, UUID]]:
        values = {"queue": queue, "except_ids": list(except_ids), "limit": limit}
        return [(row.id, UUID(int=0)) for row in await run_alone(self.engine, _FIRST_DUE, values)]


@dataclass(slots=True)
class _Told:
    """How long the jobs of each tenant waited, and the worker-seconds that they took."""

    waits_s: dict[UUID, list[float]] = field(default_factory=dict)
    worked_s: dict[UUID, float] = field(default_factory=dict)


class _Sleeper:
    """Handles jobs by sleeping."""

    def __init__(self, store: PostgresJobStore) -> None:
        self._store = store
        self._turns = FairTurns(_SLOTS)
        self.told = _Told()

    async def __call__(self, job: Leased) -> None:
        async with self._turns.turn(job.tenant_id):
            self.told.waits_s.setdefault(job.tenant_id, []).append(time.time() - job.created_at.timestamp())
            began_s = time.monotonic()
            await asyncio.sleep(job.args["s"])
            async with begin(self._store.engine, "BEGIN") as (transaction, _):
                await finish(transaction, job)
            worked_s = self.told.worked_s.get(job.tenant_id, 0.0)
            self.told.worked_s[job.tenant_id] = worked_s + time.monotonic() - began_s


class _WorkerProcess:
    """A process that does jobs as a worker does, and tells of them."""

    def __init__(self, database: Database, redis_url: str, namespace: str) -> None:
        context = get_context("spawn")
        self._pipe, theirs = context.Pipe()
        self._process = context.Process(target=_work, args=(database, redis_url, namespace, theirs))

    def __enter__(self) -> Self:
        self._process.start()
        self.take()
        return self

    def __exit__(self, *_error: object) -> None:
        self._pipe.send(None)
        self._process.join()

    def take(self) -> _Told:
        """Return what has been done since the last time."""
        self._pipe.send("take")
        told: _Told = self._pipe.recv()
        return told


@dataclass(frozen=True, slots=True)
class _Works:
    """A feeder and a worker that run, over an empty ledger."""

    platform: PlatformUnderTest
    wake: LocalWake
    worker: _WorkerProcess

    async def tenants(self, count: int) -> list[UUID]:
        return [await self.platform.create_tenant(f"tenant-{uuid7().hex[-12:]}") for _ in range(count)]

    async def add(self, tenant_id: UUID, count: int, seconds: float) -> None:
        values = {"tenant_id": tenant_id, "queue": _QUEUE, "seconds": seconds, "count": count}
        await run_alone(self.platform.system_engine, _ADD, values)
        self.wake.wake()

    async def trickle(self, tenants: Sequence[UUID], seconds: float, job_s: float) -> list[list[float]]:
        """Give each tenant a job a second for so long; return the waits of its jobs, also of those yet to begin."""
        asked_s: dict[UUID, list[float]] = {tenant_id: [] for tenant_id in tenants}
        began_s = time.monotonic()
        for number, tenant_id in enumerate(cycle(tenants)):
            if number >= seconds * len(tenants):
                break
            await asyncio.sleep(max(0.0, began_s + number / len(tenants) - time.monotonic()))
            asked_s[tenant_id].append(time.monotonic())
            await self.add(tenant_id, 1, job_s)
        await asyncio.sleep(0.5)
        told = self.worker.take()
        ended_s = time.monotonic()
        return [
            [*(begun := told.waits_s.get(tenant_id, [])), *(ended_s - since_s for since_s in since[len(begun) :])]
            for tenant_id, since in asked_s.items()
        ]


def run(stage: Stage) -> Report:
    """Measure waits beside a flood, then shares of slow and quick jobs."""
    configure_logging("json", "WARNING")
    return uvloop.run(_run(stage))


async def _run(stage: Stage) -> Report:
    seconds = stage.seconds(12)
    waits = [
        await _waits(stage, store, seconds, job_s, flood=flood)
        for store, job_s, flood in (
            (PostgresJobStore, _JOB_S, 0),
            (PostgresJobStore, _JOB_S, _FLOOD),
            (_FirstCome, _JOB_S, _FLOOD),
            (PostgresJobStore, _SHORT_JOB_S, 0),
            (PostgresJobStore, _SHORT_JOB_S, _FLOOD),
        )
    ]
    equal = await _shares(stage, PostgresJobStore, seconds, (1.0, 1.0))
    weighed = await _shares(stage, PostgresJobStore, seconds, (3.0, 1.0))
    by_turns = await _shares(stage, _FirstCome, seconds, (1.0, 1.0))
    alone, flooded, first_come, short_alone, short_flooded = (
        1000 * percentile([wait_s for of_tenant in each for wait_s in of_tenant], 0.95) for each in waits
    )
    among_others, among_first_come = (jain([fmean(of_tenant) for of_tenant in waits[place]]) for place in (1, 2))
    fair, little = Target(">=", 0.95, "ours"), Target("<=", 2)
    return Report(
        "fairness",
        _METHOD.format(others=_OTHERS, flood=_FLOOD),
        [
            Finding("p95 wait beside a flood", flooded, "ms", alone, "ms without it", little),
            Finding("p95 wait beside it, first come first served", first_come, "ms", alone, "ms without it"),
            Finding("Jain's index, mean waits of the 50", among_others, "", among_first_come, "first come", fair),
            Finding("p95 wait of short jobs beside a flood", short_flooded, "ms", short_alone, "ms without it", little),
            Finding("Jain's index, slow and quick jobs", jain(equal), "", jain(by_turns), "first come", fair),
            Finding("Jain's index, weights 3 and 1", jain([weighed[0] / 3, weighed[1]]), "", target=fair),
        ],
        [
            f"Worker-seconds of slow and of quick jobs: {_told(equal)}.",
            f"With weights 3 and 1: {_told(weighed)}.",
            f"First come, first served: {_told(by_turns)}.",
        ],
    )


def jain(shares: Sequence[float]) -> float:
    """Return the index of fairness of Jain, Chiu and Hawe (1984): 1 where all are equal, 1/n where one has all."""
    return sum(shares) ** 2 / (len(shares) * sum(share * share for share in shares))


def _told(shares: Sequence[float]) -> str:
    return " and ".join(f"{share:.0f}" for share in shares)


async def _waits(
    stage: Stage, store: type[PostgresJobStore], seconds: float, job_s: float, *, flood: int
) -> list[list[float]]:
    """Return how long the jobs of each of the others waited, in seconds, beside a tenant with so many of them."""
    async with _open(stage, store) as works:
        flooding, *others = await works.tenants(1 + _OTHERS)
        for _ in range(flood // 5000):  # no statement may take for long
            await works.add(flooding, 5000, job_s)
        await works.trickle(others, 2, job_s)
        return await works.trickle(others, seconds, job_s)


async def _shares(
    stage: Stage, store: type[PostgresJobStore], seconds: float, weights: tuple[float, float]
) -> list[float]:
    """Return the worker-seconds that slow jobs and quick ones got, once both have been under way for a while."""
    async with _open(stage, store) as works:
        tenants = await works.tenants(2)
        for tenant_id, weight in zip(tenants, weights, strict=True):
            scope = Scope(tenant_id=tenant_id)
            await set_limit(works.platform.system_engine, scope, set_by="bench:1", weight=weight)
        for _ in range(20):  # in turns, as jobs come; first come, first served would else be one after the other
            await works.add(tenants[0], 50, 0.5)
            await works.add(tenants[1], 1000, 0.01)
        await asyncio.sleep(seconds / 2)
        works.worker.take()
        await asyncio.sleep(seconds)
        told = works.worker.take()
        return [told.worked_s.get(tenant_id, 0.0) for tenant_id in tenants]


@asynccontextmanager
async def _open(stage: Stage, store: type[PostgresJobStore]) -> AsyncIterator[_Works]:
    """Run a feeder in this process and a worker in another, over a database of its own."""
    async with stage.server.throw_away() as database, PlatformUnderTest.open(MODULES, database) as platform:
        broker = _broker(stage.redis_url, namespace := f"fairness-{uuid7()}")
        wake = LocalWake()

        async def send(queue: str, messages: Sequence[JobsMessage]) -> None:
            sent = [work_message(queue, message.job_ids, express=message.express) for message in messages]
            await asyncio.to_thread(broker.enqueue_many, sent)

        feeder = Feeder(
            FeederConfig(),
            windows([_QUEUE]),
            store=store(platform.system_engine),
            send=send,
            clock=SystemClock(),
            wake=wake,
        )
        with closing(broker), _WorkerProcess(database, stage.redis_url, namespace) as worker:
            feeding = asyncio.create_task(feeder.run())
            try:
                yield _Works(platform, wake, worker)
            finally:
                feeding.cancel()
                await asyncio.gather(feeding, return_exceptions=True)


def _broker(redis_url: str, namespace: str) -> StreamBroker:
    broker = StreamBroker(redis_url, namespace=namespace, prefetch=prefetch([_QUEUE]))
    for name in streams([_QUEUE]):
        broker.declare_queue(name)
    return broker


def _work(database: Database, redis_url: str, namespace: str, pipe: "Connection[Any, Any]") -> None:
    """Do jobs, and answer each `take`, until None comes."""
    configure_logging("json", "WARNING")
    with EventLoopThread() as loop, closing(_broker(redis_url, namespace)) as broker:
        engine = create_engine(database.system_url, settings={"synchronous_commit": "off"})
        sleeper = _Sleeper(PostgresJobStore(engine))
        runner = JobRunner(RunnerConfig(), PostgresJobStore(engine), {_KIND: sleeper}, SystemClock())
        declare_work(broker, loop, runner)
        worker = dramatiq.Worker(broker, worker_threads=threads(1, [_QUEUE]))
        worker.start()
        while pipe.recv():
            told, sleeper.told = sleeper.told, _Told()
            pipe.send(told)
        loop.run(runner.stop())
        worker.stop()
        loop.run(engine.dispose())
