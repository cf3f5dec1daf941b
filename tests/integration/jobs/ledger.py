"""The ledger over a module of counting jobs, worked by hand."""

from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from functools import partial
from typing import Any, TypeVar
from uuid import UUID

import asyncpg
from sqlalchemy import TextClause, text
from sqlalchemy.ext.asyncio import AsyncEngine

from rustok.catalog import MODULES
from rustok.db.transaction import begin, run_alone
from rustok.jobs import Leased, NewJob, enqueue, finish
from rustok.jobs.operations import Operation
from rustok.jobs.runner import JobHandler, JobRunner, RunnerConfig
from rustok.jobs.store import PostgresJobStore
from rustok.kernel.ids import uuid7
from rustok.kernel.module import JobKind
from rustok.runtime import SystemClock
from rustok.testing import Database, PlatformUnderTest
from tests.under_fire import PlatformUnderFire, engine_of_processes, insist

Answer = TypeVar("Answer")

COUNT = JobKind(name="tenants.count", summary="Count", queue="sums", max_attempts=2)

_FORGET = [text(f"DELETE FROM {table}") for table in ("jobs", "finished_jobs", "schedules")]
_ROW = text("SELECT * FROM jobs WHERE id = :id")
_DUE_NOW = text("UPDATE jobs SET due_at = now() - interval '1 second'")
_SWITCH = text("UPDATE tenants SET is_active = :is_active WHERE id = :id")
_INTERRUPTED = text(
    """
    UPDATE jobs SET state = 'ready', attempts = CASE state WHEN 'leased' THEN attempts - 1 ELSE attempts END,
                    lease_token = NULL, lease_expires_at = NULL, due_at = now()
     WHERE id = ANY (CAST(:ids AS uuid[])) AND (state = 'leased' OR state = 'ready' AND error IS NULL)
    """
)
"""What a fault has left in nobody's hands, or has had handed back; not what has failed."""
_LOSE_LEASES = text("UPDATE jobs SET lease_expires_at = now() - interval '1 second' WHERE state = 'leased'")


class Ledger:
    def __init__(self, platform: PlatformUnderTest, tenant_id: UUID, other_tenant_id: UUID) -> None:
        self.platform = platform
        self.tenant_id, self.other_tenant_id = tenant_id, other_tenant_id
        self.store = PostgresJobStore(platform.system_engine)

    @property
    def workers_engine(self) -> AsyncEngine:
        """What relays and workers connect with; all that a test does by hand has steady connections."""
        return engine_of_processes(self.platform)

    async def answered(self, work: Callable[[], Awaitable[Answer]]) -> Answer:
        """Do *work*, under fire until it ends otherwise than by a fault."""
        return await insist(self.platform, work)

    async def work(self, runner: JobRunner, ids: Sequence[UUID]) -> None:
        """Have *runner* do these jobs; what a fault has interrupted is done again, uncounted."""
        await self.answered(partial(runner.work, ids))
        if isinstance(self.platform, PlatformUnderFire):
            while (await run_alone(self.platform.system_engine, _INTERRUPTED, {"ids": list(ids)})).rowcount:
                await self.answered(partial(runner.work, ids))

    @asynccontextmanager
    async def admin(self) -> AsyncIterator[asyncpg.Connection]:
        """Connect as the server's administrator."""
        connection = await asyncpg.connect(self.platform.database.admin_url)
        try:
            yield connection
        finally:
            await connection.close()

    async def add(self, *jobs: NewJob, tenant_id: UUID | None = None) -> list[UUID]:
        """Commit jobs, or one, and return their ids."""
        jobs = jobs or (NewJob(kind=COUNT, args={"to": 3}),)
        context = self.platform.context(tenant_id or self.tenant_id)
        async with self.platform.platform.units.begin(context) as uow:
            await enqueue(uow, jobs)
        return [job.id for job in jobs]

    async def grant(self, ids: Sequence[UUID]) -> Sequence[Leased]:
        return await self.store.grant(ids, 6.0)

    async def ready(self, limit: int = 100) -> list[UUID]:
        return [job_id for job_id, _ in await self.store.ready("sums", [], limit, limit)]

    async def row(self, job_id: UUID) -> Any:
        """Return the row of a job that has not ended; None when it has."""
        return (await run_alone(self.platform.system_engine, _ROW, {"id": job_id})).one_or_none()

    async def operation(self, job_id: UUID, tenant_id: UUID | None = None) -> Operation:
        query = "jobs.operations.get"
        found: Operation = await self.platform.query(query, tenant_id or self.tenant_id, operation_id=str(job_id))
        return found

    async def cancel(self, job_id: UUID, tenant_id: UUID | None = None) -> Operation:
        command = "jobs.operations.cancel"
        ended: Operation = await self.platform.run(command, tenant_id or self.tenant_id, operation_id=str(job_id))
        return ended

    async def end(self, how: Any, job: Leased, *arguments: Any) -> None:
        """Call `finish`, `fail` or `hand_back` in a transaction of its own."""
        async with begin(self.platform.system_engine, "BEGIN") as (transaction, _):
            await how(transaction, job, *arguments)

    async def make_due(self) -> None:
        await self._execute(_DUE_NOW)

    async def lose_leases(self) -> None:
        """Let every lease have run out a second ago."""
        await self._execute(_LOSE_LEASES)

    async def switch(self, *, is_active: bool) -> None:
        """Switch the tenant on or off."""
        await self._execute(_SWITCH, {"is_active": is_active, "id": self.tenant_id})

    def runner(self, handler: JobHandler, config: RunnerConfig | None = None) -> JobRunner:
        store = PostgresJobStore(self.workers_engine)
        return JobRunner(config or RunnerConfig(), store, {COUNT.name: handler}, SystemClock())

    async def _execute(self, statement: TextClause, values: Mapping[str, Any] | None = None) -> None:
        await run_alone(self.platform.system_engine, statement, values)

    async def count(self, job: Leased) -> None:
        """Handle a job as it should be handled."""
        async with begin(self.workers_engine, "BEGIN") as (transaction, _):
            await finish(transaction, job, {"counted": job.args["to"]})


@asynccontextmanager
async def open_ledger(
    database: Database, platform_class: type[PlatformUnderTest] = PlatformUnderTest
) -> AsyncIterator[Ledger]:
    """Empty the ledger of *database* and open it, with two tenants."""
    async with platform_class.open(MODULES, database) as platform:
        for statement in _FORGET:
            await run_alone(platform.system_engine, statement)
        yield Ledger(platform, *[await platform.create_tenant(f"tenant-{uuid7().hex[-12:]}") for _ in range(2)])
