"""A schedule makes a job each time it is due, once, in the time zone of whoever wrote it."""

import asyncio
from collections.abc import Sequence
from datetime import UTC, datetime

import pytest
from sqlalchemy import text

from rustok.db.transaction import run_alone
from rustok.jobs import NewSchedule, set_schedules
from rustok.jobs.schedules import Scheduler, next_due
from rustok.kernel.errors import InvalidInput
from rustok.kernel.module import JobKind
from rustok.runtime import SystemClock
from tests.integration.jobs.ledger import COUNT, Ledger

_DUE = text("UPDATE schedules SET due_at = now() - interval '3 days'")
_NEXT = text("SELECT due_at > now() AS is_ahead FROM schedules")
_SPOIL = text("UPDATE schedules SET cron = :cron, timezone = :timezone WHERE cron = '0 8 * * *'")
_PARKED = text("SELECT cron FROM schedules WHERE due_at = 'infinity'")
OF_TOMORROW = JobKind(name="tenants.of_tomorrow", summary="?", queue="sums")
NOON = datetime(2026, 3, 27, 12, tzinfo=UTC)


async def schedule(ledger: Ledger, schedules: Sequence[NewSchedule]) -> None:
    async with ledger.platform.platform.units.begin(ledger.platform.context(ledger.tenant_id)) as uow:
        await set_schedules(uow, "tenants.sums", schedules)


def a_schedule(cron: str = "0 7 * * *", timezone: str = "UTC", kind: JobKind = COUNT) -> NewSchedule:
    return NewSchedule(cron=cron, timezone=timezone, kind=kind, args={"to": 3})


def schedulers(ledger: Ledger, count: int) -> list[Scheduler]:
    return [Scheduler({COUNT.name: COUNT}, ledger.platform.system_engine, SystemClock()) for _ in range(count)]


@pytest.mark.parametrize(
    ("cron", "timezone", "due"),
    [
        ("0 7 * * *", "UTC", "2026-03-28T07:00:00+00:00"),
        ("0 7 * * *", "Europe/Berlin", "2026-03-28T06:00:00+00:00"),
        ("0 7 * * 1", "Europe/Berlin", "2026-03-30T05:00:00+00:00"),  # summer time has begun on the 29th
        ("*/5 * * * *", "UTC", "2026-03-27T12:05:00+00:00"),
    ],
)
def test_an_expression_is_read_in_its_time_zone(cron: str, timezone: str, due: str) -> None:
    """With its changes of the clock."""
    assert next_due(cron, timezone, NOON) == datetime.fromisoformat(due)


@pytest.mark.parametrize(
    ("cron", "timezone"),
    [
        ("", "UTC"),
        ("7", "UTC"),
        ("61 * * * *", "UTC"),
        ("0 0 31 2 *", "UTC"),
        ("0 0 7 * * *", "UTC"),
        (f"{'9' * 5000} * * * *", "UTC"),
        ("* * * * *", "Europe/Atlantis"),
        ("* * * * *", "../../etc/passwd"),
        ("* * * * *", "localtime"),
        ("* * * * *", "posix/Europe/Berlin"),
        ("* * * * *", "right/Europe/Berlin"),
        ("* * * * *", ""),
    ],
)
def test_what_means_no_moment_is_refused(cron: str, timezone: str) -> None:
    """When it is written, not when it should have been due."""
    with pytest.raises(InvalidInput):
        next_due(cron, timezone, NOON)


async def test_a_due_schedule_makes_one_job_whoever_looks(ledger: Ledger) -> None:
    """Also when it was missed for days: then the next one is ahead again."""
    await schedule(ledger, [a_schedule()])
    early = [await scheduler.run_once() for scheduler in schedulers(ledger, 1)]
    await run_alone(ledger.platform.system_engine, _DUE)

    made = await asyncio.gather(*[scheduler.run_once() for scheduler in schedulers(ledger, 4)])

    [job] = await ledger.grant(await ledger.ready())
    following = (await run_alone(ledger.platform.system_engine, _NEXT)).one()
    assert (early, sum(made), following.is_ahead) == ([0], 1, True)
    assert (job.tenant_id, job.args["to"], "due_at" in job.args) == (ledger.tenant_id, 3, True)


async def test_schedules_of_an_owner_are_replaced_together(ledger: Ledger) -> None:
    """An empty list takes them away."""
    await schedule(ledger, [a_schedule(), a_schedule("0 8 * * *")])
    await schedule(ledger, [])
    await run_alone(ledger.platform.system_engine, _DUE)

    assert [await scheduler.run_once() for scheduler in schedulers(ledger, 1)] == [0]


@pytest.mark.parametrize(("cron", "timezone"), [("of yesterday", "UTC"), ("0 8 * * *", "Europe/Atlantis")])
async def test_a_schedule_that_cannot_be_read_any_more_stops_no_other(ledger: Ledger, cron: str, timezone: str) -> None:
    """It is made one last time, and parked until somebody writes it anew."""
    await schedule(ledger, [a_schedule("0 8 * * *"), a_schedule()])
    await run_alone(ledger.platform.system_engine, _SPOIL, {"cron": cron, "timezone": timezone})
    await run_alone(ledger.platform.system_engine, _DUE)

    [scheduler] = schedulers(ledger, 1)
    made = [await scheduler.run_once(), await scheduler.run_once()]

    parked = (await run_alone(ledger.platform.system_engine, _PARKED)).scalars().all()
    assert (made, len(await ledger.ready()), parked) == ([2, 0], 2, [cron])


async def test_schedules_of_another_release_hold_up_no_other(ledger: Ledger) -> None:
    """However many are due: this relay does not look at them."""
    await schedule(ledger, [*[a_schedule(kind=OF_TOMORROW)] * 100, a_schedule()])
    await run_alone(ledger.platform.system_engine, _DUE)

    assert [await scheduler.run_once() for scheduler in schedulers(ledger, 1)] == [1]


async def test_moments_do_not_pile_up_while_no_worker_runs(ledger: Ledger) -> None:
    """The one job that waits is enough; when it has ended, there is another one."""
    await schedule(ledger, [a_schedule(), a_schedule("0 8 * * *")])
    [scheduler] = schedulers(ledger, 1)

    for _ in range(3):
        await run_alone(ledger.platform.system_engine, _DUE)
        await scheduler.run_once()

    waiting = await ledger.ready()
    for job in await ledger.grant(waiting):
        await ledger.count(job)
    await run_alone(ledger.platform.system_engine, _DUE)
    await scheduler.run_once()
    assert (len(waiting), len(await ledger.ready())) == (2, 2)
