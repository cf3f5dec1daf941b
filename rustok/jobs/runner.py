"""Does the jobs of a message: leases them together, keeps the leases, and lets each kind's handler end its own."""

import asyncio
import math
import random
from collections.abc import Awaitable, Callable, Coroutine, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from functools import cache, partial
from typing import Any, Protocol
from uuid import UUID

import structlog

from rustok.db.coalescer import Coalescer, RunApart
from rustok.db.failures import describe, is_transient
from rustok.db.unit_of_work import TenantDisabled
from rustok.jobs.leases import JobLeases
from rustok.jobs.ledger import Leased, LeaseLost
from rustok.kernel.errors import RustokError
from rustok.kernel.ports import Clock
from rustok.telemetry.logging import chain_of
from rustok.telemetry.metrics import JOB_RUN_SECONDS, JOBS_TOTAL

log = structlog.get_logger(__name__)

_ENDED_TOGETHER = 500
_total_of, _seconds_of = cache(JOBS_TOTAL.labels), cache(JOB_RUN_SECONDS.labels)


@dataclass(frozen=True, slots=True)
class Done:
    """A job is done, and what it came to."""

    result: Any = None


class JobHandler(Protocol):
    """Does one kind of job. No transaction is open while it works."""

    async def __call__(self, job: Leased, /) -> Done | None:
        """Do *job*. What it raises ends the attempt: it is tried again, later, up to its last attempt.

        Returns:
            None: it has ended the job itself (`finish`, `fail`, `hand_back` or `put_off`), in the transaction that
            has its effects, so that both happen or neither.
            Done: it has no effects in PostgreSQL. The job is ended after it, together with others, at a seventh of
            what a transaction each costs; a crash in between has it done again.

        """


@dataclass(frozen=True, slots=True)
class RunnerConfig:
    lease_s: float = 6.0
    renew_s: float = 2.0
    unavailable_delay_s: float = 1.0
    """How long a job waits that could not be done because a server was away, or its tenant is switched off."""


Uniform = Callable[[float, float], float]
"""Returns a random number between two."""


def retry_delay_s(attempt: int, uniform: Uniform = random.uniform) -> float:
    """Return a random time up to 1 s, 4 s, 16 s ... an hour: jobs that failed together do not come back together."""
    return uniform(0, min(3600.0, 4.0 ** (attempt - 1)))


class JobRunner:
    """One a process. It may be given the ids of any jobs, any number of times."""

    def __init__(
        self,
        config: RunnerConfig,
        store: JobLeases,
        handlers: Mapping[str, JobHandler],
        clock: Clock,
        uniform: Uniform = random.uniform,
    ) -> None:
        self._config = config
        self._store = store
        self._handlers = handlers
        self._clock = clock
        self._uniform = uniform
        self._jobs: set[asyncio.Task[None]] = set()
        self._working = 0
        self._idle = asyncio.Event()
        self._idle.set()
        self._is_stopping = False
        self._finishing = Coalescer(
            self._finish, self._finish_alone, most=_ENDED_TOGETHER, patience_s=math.inf, is_steadfast=True
        )

    @property
    def in_hand(self) -> int:
        """How many jobs are under way."""
        return len(self._jobs)

    async def work(self, ids: Sequence[UUID]) -> int:
        """Do what is ready among *ids* and return how many jobs that were. What is cut short is handed back."""
        return await self._lease_and_work(partial(self._store.grant, ids, self._config.lease_s))

    async def work_on_ready(self, queue: str, limit: int, on_leased: Callable[[int], None] = lambda _: None) -> int:
        """Do up to *limit* jobs that are ready, in fair turns by tenant; *on_leased* is told how many, first of all."""

        async def lease() -> Sequence[Leased]:
            jobs = await self._store.grant_ready(queue, limit, self._config.lease_s)
            on_leased(len(jobs))
            return jobs

        return await self._lease_and_work(lease)

    async def _lease_and_work(self, lease: Callable[[], Awaitable[Sequence[Leased]]]) -> int:
        if self._is_stopping:
            return 0
        self._working += 1
        self._idle.clear()
        try:
            jobs = await lease()
            if jobs:
                await self._work(jobs)
            return len(jobs)
        finally:
            self._working -= 1
            if not self._working:
                self._idle.set()

    async def stop(self) -> None:
        """Stop every job that is under way and hand it back; what is asked for from now on is left to others."""
        self._is_stopping = True
        for job in self._jobs:
            job.cancel()
        await self._idle.wait()

    async def _work(self, jobs: Sequence[Leased]) -> None:
        stopped: dict[UUID, bool] = {}
        tasks = {job.id: asyncio.create_task(self._do(job, stopped)) for job in jobs}
        keeper = asyncio.create_task(self._keep_leases(jobs[0].token, tasks, stopped))
        self._jobs |= {*tasks.values()}
        try:
            if not self._is_stopping:  # it may have begun while the leases were granted
                await asyncio.wait(tasks.values())
        finally:
            self._jobs -= {*tasks.values()}
            await _whole(self._let_go(jobs[0].token, tasks, stopped, keeper))

    async def _let_go(
        self,
        token: UUID,
        tasks: Mapping[UUID, asyncio.Task[None]],
        stopped: Mapping[UUID, bool],
        keeper: asyncio.Task[None],
    ) -> None:
        """End what still runs, and hand back what was cut short because the process stops."""
        running = [task for task in (keeper, *tasks.values()) if not task.done()]
        for task in running:
            task.cancel()
        await asyncio.gather(*running, return_exceptions=True)
        cut_short = [job_id for job_id, task in tasks.items() if task.cancelled() and job_id not in stopped]
        if cut_short:
            try:
                await self._store.release(cut_short, token)
            except Exception as error:  # noqa: BLE001 - the rescuer takes over
                log.warning("jobs_not_handed_back", count=len(cut_short), reason=describe(error))

    async def _keep_leases(
        self, token: UUID, tasks: Mapping[UUID, asyncio.Task[None]], stopped: dict[UUID, bool]
    ) -> None:
        """Renew the leases of what still runs; stop what is cancelled, or somebody else's by now."""
        while True:
            await self._clock.sleep(self._config.renew_s)
            running = [job_id for job_id, task in tasks.items() if not task.done()]
            try:
                held = await self._store.renew(running, token, self._config.lease_s)
            except Exception as error:
                # Whatever it was: the jobs go on, and so must this.
                unforeseen = not is_transient(error)
                log.warning("leases_not_renewed", count=len(running), reason=describe(error), exc_info=unforeseen)
                continue
            for job_id in running:
                if held.get(job_id, True):
                    stopped[job_id] = job_id in held
                    tasks[job_id].cancel()

    async def _do(self, job: Leased, stopped: Mapping[UUID, bool]) -> None:
        """Do *job*; *stopped* says of a job that was stopped whether that was because somebody cancelled it."""
        structlog.contextvars.bind_contextvars(**chain_of(job))  # for the task that does nothing but this
        started_s = self._clock.monotonic_s()
        outcome = "stopped"
        try:
            outcome = await self._attempt(job)
        except LeaseLost:
            outcome = "lost"
            log.warning("lease_lost", job_id=str(job.id), kind=job.kind)
        except asyncio.CancelledError:
            if stopped.get(job.id):
                await _whole(self._end_cancelled(job))
            raise
        except Exception as error:  # noqa: BLE001 - whatever it is, it is this job's
            outcome = "raised"
            await self._end_failed(job, error)
        finally:
            _total_of(job.kind, outcome).inc()
            _seconds_of(job.kind).observe(self._clock.monotonic_s() - started_s)
            log.debug("job_ended", job_id=str(job.id), kind=job.kind, outcome=outcome)

    async def _attempt(self, job: Leased) -> str:
        """Have *job* done, where that is wanted and possible, and return what it came to."""
        handler = self._handlers.get(job.kind)
        if job.is_cancelled:
            await self._end_cancelled(job)
            return "cancelled"
        if handler is None:
            log.warning("job_kind_unknown", kind=job.kind)  # an older or newer release knows it, and takes it up
            await self._end(job, self._store.park_unknown(job))
            return "unknown"
        done = await handler(job)
        if done is not None:
            await self._finishing.submit("done", (job, done.result))
        return "ended"

    async def _finish(self, ended: Sequence[tuple[Leased, Any]]) -> Sequence[LeaseLost | None]:
        """End jobs together. One that is lost, or cannot be written, leaves the others alone."""
        try:
            held = await self._store.finish(ended)
        except Exception as error:
            if len(ended) == 1 or is_transient(error):
                raise
            raise RunApart from error
        return [None if job.id in held else LeaseLost(f"job {job.id} is not held any more") for job, _ in ended]

    async def _finish_alone(self, ended: tuple[Leased, Any]) -> None:
        [lost] = await self._finish([ended])
        if lost is not None:
            raise lost

    async def _end_cancelled(self, job: Leased) -> None:
        await self._end(job, self._store.finish([(job, None)], "cancelled"))

    async def _end_failed(self, job: Leased, error: Exception) -> None:
        with suppress(LeaseLost):
            if is_transient(error) or isinstance(error, TenantDisabled):
                log.warning("job_waits", job_id=str(job.id), kind=job.kind, reason=describe(error))
                await self._end(job, self._store.hand_back(job, self._config.unavailable_delay_s))
                return
            log.error("job_failed", job_id=str(job.id), kind=job.kind, attempt=job.attempt, exc_info=error)
            delay_s = None if job.is_last_attempt else retry_delay_s(job.attempt, self._uniform)
            code = error.code if isinstance(error, RustokError) else RustokError.code
            await self._end(job, self._store.fail(job, {"code": code, "message": describe(error)}, delay_s))

    async def _end(self, job: Leased, ending: Awaitable[object]) -> None:
        """End *job*. If that fails too, its lease runs out."""
        try:
            await ending
        except LeaseLost:
            raise
        except Exception as error:  # noqa: BLE001 - the rescuer takes over
            log.warning("job_not_ended", job_id=str(job.id), reason=describe(error))


async def _whole(work: Coroutine[Any, Any, None]) -> None:
    """Do *work* to its end, however often the caller is cancelled meanwhile."""
    task, cancelled = asyncio.create_task(work), None
    while not task.done():
        try:
            await asyncio.wait([task])
        except asyncio.CancelledError as error:
            cancelled = error
    task.result()
    if cancelled is not None:
        raise cancelled
