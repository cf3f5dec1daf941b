"""The scheduler's stores, each with schedules that are due, or not, and a look at the jobs that were made."""

import random
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any, Protocol
from uuid import UUID

from sqlalchemy import text

from rustok.db.transaction import run_alone
from rustok.jobs import NewSchedule, set_schedules
from rustok.jobs.schedule_desk import Choice, disable
from rustok.jobs.schedule_store import PostgresScheduleStore
from rustok.jobs.scheduler import ScheduleStore
from rustok.kernel.ids import uuid7
from rustok.kernel.module import JobKind
from rustok.testing import Database, FixedClock
from tests.chaos.simulator import database as simulated
from tests.chaos.simulator import schedule_store
from tests.chaos.simulator.session import DirectWire, Session
from tests.integration.jobs.ledger import Ledger, open_ledger

STORES = ("postgres", "simulated")
TENANT = UUID(int=1)

_DUE_SINCE = text("UPDATE schedules SET due_at = now() - make_interval(secs => :ago_s) WHERE id = :id")
_IDS = text("SELECT id FROM schedules WHERE owner = :owner")
_JOBS = text("SELECT args FROM jobs ORDER BY id")


class StoreUnderTest(Protocol):
    @property
    def store(self) -> ScheduleStore: ...

    async def add(self, kind: JobKind, *, due_since_s: float) -> UUID:
        """Write a schedule of `* * * * *` that is due since so many seconds, or in so many where they are negative."""

    async def switch_off(self, schedule_id: UUID) -> None: ...

    async def jobs(self) -> Sequence[dict[str, Any]]:
        """Return the arguments of the jobs that were made."""


class PostgresUnderTest:
    def __init__(self, ledger: Ledger) -> None:
        self._engine = ledger.platform.system_engine
        self.store: ScheduleStore = PostgresScheduleStore(self._engine)
        self._ledger = ledger

    async def add(self, kind: JobKind, *, due_since_s: float) -> UUID:
        owner = str(uuid7())
        async with self._ledger.platform.platform.units.begin(
            self._ledger.platform.context(self._ledger.tenant_id)
        ) as uow:
            await set_schedules(uow, owner, [NewSchedule(cron="* * * * *", kind=kind, args={"to": 3}, missed="all")])
        schedule_id: UUID = (await run_alone(self._engine, _IDS, {"owner": owner})).scalar_one()
        await run_alone(self._engine, _DUE_SINCE, {"id": schedule_id, "ago_s": due_since_s})
        return schedule_id

    async def switch_off(self, schedule_id: UUID) -> None:
        await disable(self._engine, Choice(id=schedule_id), disabled_by="operator:o")

    async def jobs(self) -> Sequence[dict[str, Any]]:
        return list((await run_alone(self._engine, _JOBS)).scalars())


class SimulatedUnderTest:
    def __init__(self) -> None:
        self._database = simulated.Database(FixedClock().now, random.Random(0))
        self.store: ScheduleStore = schedule_store.SimulatedScheduleStore(Session(self._database, DirectWire))

    async def add(self, kind: JobKind, *, due_since_s: float) -> UUID:
        row = schedule_store.ScheduleRow(
            tenant_id=TENANT,
            id=uuid7(),
            kind=kind.name,
            args={"to": 3},
            cron="* * * * *",
            missed="all",
            due_at=self._now() - timedelta(seconds=due_since_s),
        )
        self._database.tables["schedules"][row.id] = row
        return row.id

    async def switch_off(self, schedule_id: UUID) -> None:
        rows = self._database.tables["schedules"]
        rows[schedule_id] = replace(rows[schedule_id], is_off=True)

    async def jobs(self) -> Sequence[dict[str, Any]]:
        return [row.job.args for row in self._database.tables["jobs"].values()]

    def _now(self) -> datetime:
        return self._database.now()


@asynccontextmanager
async def open_store(name: str, database: Database) -> AsyncIterator[StoreUnderTest]:
    """Open the store *name*, empty; *database* is for the one that needs a server."""
    if name == "simulated":
        yield SimulatedUnderTest()
        return
    async with open_ledger(database) as ledger:
        yield PostgresUnderTest(ledger)
