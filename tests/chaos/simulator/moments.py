"""Schedules that have been due while no relay looked, and what must have come of their moments."""

from collections import Counter
from collections.abc import Iterator, Sequence
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from rustok.jobs.schedules import Missed
from tests.chaos.simulator.database import Rows, Transaction
from tests.chaos.simulator.process import START
from tests.chaos.simulator.schedule_store import Look, ScheduleRow
from tests.chaos.simulator.work import TENANTS, TICK

# One moment lies ahead, a few seconds after the start; of those behind, `skip` finds all too old.
_MINUTES: dict[Missed, int] = {"latest": 1, "all": 1, "skip": 2}
_MISSED_SINCE = START.replace(minute=56, second=0)
_GRACE = timedelta(minutes=1)


def add_schedules(transaction: Transaction) -> None:
    """Write a schedule for each way to deal with missed moments; several have passed."""
    for number, (missed, minutes) in enumerate(_MINUTES.items(), 1):
        row = ScheduleRow(
            tenant_id=TENANTS[number % 2],
            id=UUID(int=number),
            kind=TICK.name,
            args={"schedule": UUID(int=number), "work_s": 0.1},
            cron=f"*/{minutes} * * * *",
            missed=missed,
            due_at=_MISSED_SINCE,
        )
        transaction.put("schedules", row.id, row)


def still_due(tables: dict[str, Rows], now: datetime) -> list[str]:
    return [f"{row.missed} at {row.due_at}" for row in tables["schedules"].values() if row.is_due(now)]


def lost_moments(tables: dict[str, Rows]) -> Iterator[str]:
    """Find moments that should have become jobs. One may have found another job of its schedule that still waited."""
    for row in _schedules(tables):
        made = _made(tables, row)
        for moment in _wanted(row):
            if moment not in made and (row.missed == "all" or not any(earlier < moment for earlier in made)):
                yield f"the schedule of {row.missed} has no job of {moment}"


def ghosts_of_moments(tables: dict[str, Rows]) -> Iterator[str]:
    """Find jobs of moments that should have passed without one."""
    for row in _schedules(tables):
        for moment in _made(tables, row).keys() - set(_wanted(row)):
            yield f"the schedule of {row.missed} has a job of {moment}"


def doubled_moments(tables: dict[str, Rows]) -> Iterator[str]:
    for row in _schedules(tables):
        for moment, times in _made(tables, row).items():
            if times > 1:
                yield f"the schedule of {row.missed} has {times} jobs of {moment}"


def _schedules(tables: dict[str, Rows]) -> Sequence[ScheduleRow]:
    return list(tables["schedules"].values())


def _made(tables: dict[str, Rows], schedule: ScheduleRow) -> Counter[datetime]:
    jobs: list[Any] = [*tables["jobs"].values(), *tables["finished_jobs"].values()]
    return Counter(row.job.args["due_at"] for row in jobs if row.job.args.get("schedule") == schedule.id)


def _wanted(row: ScheduleRow) -> list[datetime]:
    return [moment for look in row.looks for moment in _wanted_by(look, row.missed)]


def _wanted_by(look: Look, missed: Missed) -> Sequence[datetime]:
    """Return which of the moments that had passed by a look become jobs: the rule, told once more, without cron."""
    passed, moment = [], look.due_at
    while moment <= look.at:
        passed.append(moment)
        moment += timedelta(minutes=_MINUTES[missed])
    if missed == "all" or not passed:
        return passed
    return [] if missed == "skip" and look.at - passed[-1] > _GRACE else passed[-1:]
