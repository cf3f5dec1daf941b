"""Schedules on the stand-in for PostgreSQL."""

from collections.abc import AsyncIterator, Collection, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from datetime import datetime
from functools import partial
from typing import Any, NamedTuple
from uuid import UUID

from rustok.jobs.ledger import Asker, NewJob
from rustok.jobs.scheduler import DueSchedule, Following, HeldSchedules
from rustok.jobs.schedules import Missed
from tests.chaos.simulator.database import Transaction
from tests.chaos.simulator.job_store import enqueue
from tests.chaos.simulator.session import OpenTransaction, Session


class Look(NamedTuple):
    """Somebody looked at a schedule, and moved it on from the moment at which it was due."""

    at: datetime
    due_at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class ScheduleRow:
    tenant_id: UUID
    id: UUID
    kind: str
    args: Mapping[str, Any]
    cron: str
    missed: Missed
    due_at: datetime | None
    last_due_at: datetime | None = None
    is_off: bool = False
    looks: tuple[Look, ...] = ()

    def is_due(self, now: datetime) -> bool:
        return self.due_at is not None and self.due_at <= now

    def due(self, now: datetime) -> DueSchedule:
        assert self.due_at is not None
        return DueSchedule(
            tenant_id=self.tenant_id,
            id=self.id,
            kind=self.kind,
            args=self.args,
            cron=self.cron,
            timezone="UTC",
            missed=self.missed,
            due_at=self.due_at,
            last_due_at=self.last_due_at,
            actor="simulator",
            is_off=self.is_off,
            now=now,
        )


class SimulatedScheduleStore:
    def __init__(self, session: Session) -> None:
        self._session = session

    @asynccontextmanager
    async def hold_due(self, kinds: Collection[str]) -> AsyncIterator[HeldSchedules]:
        async with self._session.begin() as transaction:
            yield SimulatedHeld(transaction, await transaction.run(partial(self._hold, set(kinds))))

    def _hold(self, kinds: Collection[str], transaction: Transaction) -> Sequence[DueSchedule]:
        rows: list[ScheduleRow] = [row for _, row in transaction.rows("schedules") if row.kind in kinds]
        free = [row for row in rows if row.is_due(transaction.now) and transaction.is_free("schedules", row.id)]
        for row in free:
            transaction.lock("schedules", row.id)
        return sorted((row.due(transaction.now) for row in free), key=lambda due: due.due_at)


class SimulatedHeld:
    def __init__(self, transaction: OpenTransaction, due: Sequence[DueSchedule]) -> None:
        self.due = due
        self.transaction = transaction

    async def make(self, jobs: Sequence[tuple[Asker, NewJob]]) -> None:
        await self.transaction.run(partial(enqueue, jobs=jobs))

    async def advance(self, following: Sequence[Following]) -> None:
        await self.transaction.run(partial(_advance, following))


def _advance(following: Sequence[Following], transaction: Transaction) -> None:
    for _, schedule_id, due_at, last_due_at in following:
        row: ScheduleRow = transaction.get("schedules", schedule_id)
        assert row.due_at is not None
        looks = (*row.looks, Look(transaction.now, row.due_at))
        transaction.put("schedules", row.id, replace(row, due_at=due_at, last_due_at=last_due_at, looks=looks))
