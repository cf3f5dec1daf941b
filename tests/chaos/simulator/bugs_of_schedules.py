"""Seeded bugs of schedules: each is wrong in one way."""

from collections.abc import AsyncIterator, Collection, Sequence
from contextlib import asynccontextmanager
from dataclasses import replace
from functools import partial

from rustok.jobs.ledger import Asker, NewJob
from rustok.jobs.scheduler import DueSchedule, HeldSchedules
from rustok.jobs.schedules import Missed
from tests.chaos.simulator.database import Transaction
from tests.chaos.simulator.job_store import enqueue
from tests.chaos.simulator.schedule_store import ScheduleRow, SimulatedHeld, SimulatedScheduleStore
from tests.chaos.simulator.session import OpenTransaction, Session


class HoldsNothing(SimulatedScheduleStore):
    """Lets every relay make what is due."""

    def _hold(self, kinds: Collection[str], transaction: Transaction) -> Sequence[DueSchedule]:
        rows: list[ScheduleRow] = [row for _, row in transaction.rows("schedules") if row.kind in kinds]
        return [row.due(transaction.now) for row in rows if row.is_due(transaction.now)]


class _MakesApart(SimulatedHeld):
    def __init__(self, session: Session, transaction: OpenTransaction, due: Sequence[DueSchedule]) -> None:
        super().__init__(transaction, due)
        self._session = session

    async def make(self, jobs: Sequence[tuple[Asker, NewJob]]) -> None:
        await self._session.run(partial(enqueue, jobs=jobs))


class MakesApart(SimulatedScheduleStore):
    """Commits the jobs, and then the next moment."""

    @asynccontextmanager
    async def hold_due(self, kinds: Collection[str]) -> AsyncIterator[HeldSchedules]:
        async with self._session.begin() as transaction:
            due = await transaction.run(partial(self._hold, set(kinds)))
            yield _MakesApart(self._session, transaction, due)


class _MakesLater(SimulatedHeld):
    jobs: Sequence[tuple[Asker, NewJob]] = ()

    async def make(self, jobs: Sequence[tuple[Asker, NewJob]]) -> None:
        self.jobs = jobs


class MovesOnFirst(SimulatedScheduleStore):
    """Commits the next moment, and then the jobs."""

    @asynccontextmanager
    async def hold_due(self, kinds: Collection[str]) -> AsyncIterator[HeldSchedules]:
        async with self._session.begin() as transaction:
            held = _MakesLater(transaction, await transaction.run(partial(self._hold, set(kinds))))
            yield held
        await self._session.run(partial(enqueue, jobs=held.jobs))


class _MistakesPolicies(SimulatedScheduleStore):
    missed: Missed

    def _hold(self, kinds: Collection[str], transaction: Transaction) -> Sequence[DueSchedule]:
        return [replace(due, missed=self.missed) for due in super()._hold(kinds, transaction)]


class MakesUpTheLatest(_MistakesPolicies):
    """Forgets all moments that were missed but the latest, whatever the owner said."""

    missed = "latest"


class MakesUpAll(_MistakesPolicies):
    """Makes up all moments that were missed, whatever the owner said."""

    missed = "all"
