"""The ledgers of jobs, each with what its tests do to it from outside."""

import random
from collections.abc import AsyncIterator, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import replace
from datetime import timedelta
from functools import partial
from typing import Protocol
from uuid import UUID

from rustok.db.transaction import begin
from rustok.jobs import Leased, NewJob
from rustok.jobs import finish as finish_in_postgres
from rustok.jobs.feeder import ReadyJobs
from rustok.jobs.leases import JobLeases
from rustok.jobs.ledger import Asker
from rustok.jobs.rescuer import LostJobs
from rustok.testing import Database, FixedClock
from tests.chaos.simulator import database as simulated
from tests.chaos.simulator import job_store
from tests.chaos.simulator.session import DirectWire, Session
from tests.integration.jobs.ledger import Ledger, open_ledger

STORES = ("postgres", "simulated")
TENANT, OTHER_TENANT = UUID(int=1), UUID(int=2)

Fate = tuple[str, int]
"""State or outcome, and attempts."""


class JobStore(ReadyJobs, JobLeases, LostJobs, Protocol):
    """All that feeder, runner and rescuer ask for."""


class StoreUnderTest(Protocol):
    @property
    def store(self) -> JobStore: ...

    async def add(self, *jobs: NewJob, is_of_other_tenant: bool = False) -> Sequence[UUID]:
        """Commit jobs and return their ids."""

    async def fate(self, job_id: UUID) -> Fate: ...

    async def lose_leases(self) -> None:
        """Let every lease have run out."""

    async def cancel(self, job_id: UUID) -> None: ...

    def ending(self, job: Leased) -> AbstractAsyncContextManager[None]:
        """Finish *job* in a transaction that commits on leaving, or rolls back."""


class PostgresUnderTest:
    def __init__(self, ledger: Ledger) -> None:
        self.store: JobStore = ledger.store
        self._ledger = ledger

    async def add(self, *jobs: NewJob, is_of_other_tenant: bool = False) -> Sequence[UUID]:
        tenant_id = self._ledger.other_tenant_id if is_of_other_tenant else self._ledger.tenant_id
        return await self._ledger.add(*jobs, tenant_id=tenant_id)

    async def fate(self, job_id: UUID) -> Fate:
        row = await self._ledger.row(job_id)
        if row is not None:
            return row.state, row.attempts
        ended = await self._ledger.operation(job_id)
        return ended.status, ended.attempts

    async def lose_leases(self) -> None:
        await self._ledger.lose_leases()

    async def cancel(self, job_id: UUID) -> None:
        await self._ledger.cancel(job_id)

    @asynccontextmanager
    async def ending(self, job: Leased) -> AsyncIterator[None]:
        async with begin(self._ledger.platform.system_engine, "BEGIN") as (transaction, _):
            await finish_in_postgres(transaction, job)
            yield


class SimulatedUnderTest:
    def __init__(self) -> None:
        self._clock = FixedClock()
        self._database = simulated.Database(self._clock.now, random.Random(0))
        self._session = Session(self._database, DirectWire)
        self.store: JobStore = job_store.SimulatedJobStore(self._session, random.Random(0))

    async def add(self, *jobs: NewJob, is_of_other_tenant: bool = False) -> Sequence[UUID]:
        tenant_id = OTHER_TENANT if is_of_other_tenant else TENANT
        asker = Asker(tenant_id=tenant_id, actor="test", correlation_id=TENANT, causation_id=None)
        await self._session.run(lambda t: job_store.enqueue(t, [(asker, job) for job in jobs]))
        return [job.id for job in jobs]

    async def fate(self, job_id: UUID) -> Fate:
        row = self._row(job_id)
        return row.state, row.attempts

    async def lose_leases(self) -> None:
        for job_id, row in self._database.tables["jobs"].items():
            if row.state == "leased":
                expired_at = self._clock.now() - timedelta(seconds=1)
                self._database.tables["jobs"][job_id] = replace(row, lease_expires_at=expired_at)

    async def cancel(self, job_id: UUID) -> None:
        await self._session.run(partial(job_store.cancel, row=self._row(job_id)))

    @asynccontextmanager
    async def ending(self, job: Leased) -> AsyncIterator[None]:
        async with self._session.begin() as transaction:
            await transaction.run(partial(job_store.finish, job=job))
            yield

    def _row(self, job_id: UUID) -> job_store.JobRow:
        tables = self._database.tables
        row: job_store.JobRow = tables["jobs"].get(job_id) or tables["finished_jobs"][job_id]
        return row


@asynccontextmanager
async def open_store(name: str, database: Database) -> AsyncIterator[StoreUnderTest]:
    """Open an empty ledger; *database* is for that of PostgreSQL."""
    if name == "simulated":
        yield SimulatedUnderTest()
        return
    async with open_ledger(database) as ledger:
        yield PostgresUnderTest(ledger)
