"""A schedule makes a job each time it is due, once, in the time zone of whoever wrote it."""

import asyncio
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta

import pytest
from sqlalchemy import text
from sqlalchemy.exc import DBAPIError

from rustok.db.transaction import run_alone
from rustok.jobs import Missed, NewSchedule, next_due, set_schedules, suspend_schedules
from rustok.jobs.cron import moments_between
from rustok.jobs.schedule_desk import Choice, ScheduleRow, disable, enable, list_schedules, make_now
from rustok.jobs.schedule_store import PostgresScheduleStore
from rustok.jobs.scheduler import Scheduler
from rustok.kernel.errors import InvalidInput
from rustok.kernel.module import JobKind
from rustok.runtime import SystemClock
from tests.integration.jobs.ledger import COUNT, Ledger

_DUE = text("UPDATE schedules SET due_at = now() - interval '3 days'")
_DUE_SINCE = text("UPDATE schedules SET due_at = :due_at")
_DIE_BEFORE_ADVANCING = """
    CREATE FUNCTION die() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER AS $$
    BEGIN
        PERFORM pg_terminate_backend(pg_backend_pid());
        RETURN NEW;
    END $$;
    CREATE TRIGGER die BEFORE UPDATE ON schedules FOR EACH ROW EXECUTE FUNCTION die();
"""
_NEXT = text("SELECT due_at > now() AS is_ahead FROM schedules")
_SPOIL = text("UPDATE schedules SET cron = :cron, timezone = :timezone WHERE cron = '0 8 * * *'")
_PARKED = text("SELECT cron FROM schedules WHERE due_at = 'infinity'")
_PARK = text("UPDATE schedules SET due_at = 'infinity'")
_SWITCHES = text("SELECT cron FROM disabled_schedules")
OF_TOMORROW = JobKind(name="tenants.of_tomorrow", summary="?", queue="sums")
NOON = datetime(2026, 3, 27, 12, tzinfo=UTC)


async def schedule(ledger: Ledger, schedules: Sequence[NewSchedule]) -> None:
    async with ledger.platform.platform.units.begin(ledger.platform.context(ledger.tenant_id)) as uow:
        await set_schedules(uow, "tenants.sums", schedules)


async def suspend(ledger: Ledger) -> None:
    async with ledger.platform.platform.units.begin(ledger.platform.context(ledger.tenant_id)) as uow:
        await suspend_schedules(uow, "tenants.sums")


def a_schedule(
    cron: str = "0 7 * * *", timezone: str = "UTC", kind: JobKind = COUNT, missed: Missed = "latest"
) -> NewSchedule:
    return NewSchedule(cron=cron, timezone=timezone, kind=kind, args={"to": 3}, missed=missed)


async def due_since(ledger: Ledger, moment: datetime) -> None:
    """Let nobody have looked since *moment*, when every schedule was due."""
    await run_alone(ledger.platform.system_engine, _DUE_SINCE, {"due_at": moment})


async def moments(ledger: Ledger) -> list[datetime]:
    """Return the moments for which there are jobs."""
    jobs = await ledger.grant(await ledger.ready(1000))
    return sorted(datetime.fromisoformat(job.args["due_at"]) for job in jobs)


def schedulers(ledger: Ledger, count: int) -> list[Scheduler]:
    store = PostgresScheduleStore(ledger.workers_engine)
    return [Scheduler({COUNT.name: COUNT}, store, SystemClock()) for _ in range(count)]


async def look(ledger: Ledger, relays: int) -> None:
    """Have so many relays look for what is due, at the same time."""
    await asyncio.gather(*[ledger.answered(scheduler.run_once) for scheduler in schedulers(ledger, relays)])


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


@pytest.mark.parametrize(
    ("cron", "timezone", "after", "until", "expected"),
    [
        # In the night in which there is no half past two it is due at three; in that which has it twice, once.
        (
            "30 2 * * *",
            "Europe/Berlin",
            "2026-03-28T12:00",
            "2026-03-30T12:00",
            ["2026-03-29T01:00", "2026-03-30T00:30"],
        ),
        (
            "30 2 * * *",
            "Europe/Berlin",
            "2026-10-24T12:00",
            "2026-10-26T12:00",
            ["2026-10-25T00:30", "2026-10-26T01:30"],
        ),
        # What is due each hour is due each hour that passes.
        (
            "0 * * * *",
            "Europe/Berlin",
            "2026-10-25T00:00",
            "2026-10-25T02:00",
            ["2026-10-25T01:00", "2026-10-25T02:00"],
        ),
        (
            "0 * * * *",
            "Europe/Berlin",
            "2026-03-29T00:00",
            "2026-03-29T02:00",
            ["2026-03-29T01:00", "2026-03-29T02:00"],
        ),
        ("0 7 * * *", "UTC", "2026-03-28T07:00", "2026-03-29T06:59", []),
    ],
)
def test_missed_moments_are_those_that_would_have_been_due(
    cron: str, timezone: str, after: str, until: str, expected: list[str]
) -> None:
    """Also over a change of the clock. The first bound is not among them, the last is."""
    start, end, *due = (datetime.fromisoformat(moment).replace(tzinfo=UTC) for moment in (after, until, *expected))

    assert moments_between(cron, timezone, start, end, 100) == due


@pytest.mark.parametrize("timezone", ["UTC", "Europe/Berlin", "America/New_York", "Africa/Cairo"])
@pytest.mark.parametrize("cron", ["30 2 * * *", "0 */3 * 3,10 *", "45 1-3 * * 0", "59 23 L * *", "*/20 1,2 * 3,10 *"])
def test_looking_back_finds_what_looking_ahead_had_found(cron: str, timezone: str) -> None:
    """For a whole year, with both changes of the clock."""
    start, end = datetime(2026, 1, 1, tzinfo=UTC), datetime(2027, 1, 1, tzinfo=UTC)
    ahead = [next_due(cron, timezone, start)]
    while (following := next_due(cron, timezone, ahead[-1])) <= end:
        ahead.append(following)

    assert moments_between(cron, timezone, start, end, 10_000) == ahead


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


async def test_a_parked_schedule_that_is_written_anew_is_due_again(ledger: Ledger) -> None:
    """In the same words: what could not read it was another release, or its table of time zones."""
    await schedule(ledger, [a_schedule()])
    await run_alone(ledger.platform.system_engine, _PARK)

    await schedule(ledger, [a_schedule()])

    assert (await run_alone(ledger.platform.system_engine, _PARKED)).all() == []


class Rested(Exception):
    """The scheduler would rest now."""


class NoRest(SystemClock):
    async def sleep(self, seconds: float) -> None:
        raise Rested(seconds)


async def test_a_scheduler_rests_when_nothing_is_due_any_more(ledger: Ledger) -> None:
    """Thousands are due at midnight, and it takes a hundred at a time: who skips what it missed would lose its own."""
    await schedule(ledger, [a_schedule(f"{minute} {hour} * * *") for minute in range(60) for hour in range(4)])
    await run_alone(ledger.platform.system_engine, _DUE)
    store = PostgresScheduleStore(ledger.platform.system_engine)

    with pytest.raises(Rested):
        await Scheduler({COUNT.name: COUNT}, store, NoRest()).run()

    assert len(await ledger.ready(1000)) == 240


async def test_schedules_of_another_release_hold_up_no_other(ledger: Ledger) -> None:
    """However many are due: this relay does not look at them."""
    of_tomorrow = [a_schedule(f"{minute} {hour} * * *", kind=OF_TOMORROW) for minute in range(50) for hour in (1, 2)]
    await schedule(ledger, [*of_tomorrow, a_schedule()])
    await run_alone(ledger.platform.system_engine, _DUE)

    assert [await scheduler.run_once() for scheduler in schedulers(ledger, 1)] == [1]


@pytest.mark.under_fire
async def test_moments_do_not_pile_up_while_no_worker_runs(ledger: Ledger) -> None:
    """The one job that waits is enough; when it has ended, there is another one."""
    await schedule(ledger, [a_schedule(), a_schedule("0 8 * * *")])

    for _ in range(3):
        await run_alone(ledger.platform.system_engine, _DUE)
        await look(ledger, relays=1)

    waiting = await ledger.ready()
    await ledger.work(ledger.runner(ledger.count), waiting)
    await run_alone(ledger.platform.system_engine, _DUE)
    await look(ledger, relays=1)
    assert (len(waiting), len(await ledger.ready())) == (2, 2)


@pytest.mark.under_fire
@pytest.mark.parametrize(("missed", "places"), [("latest", [0]), ("all", [5, 4, 3, 2, 1, 0]), ("skip", [])])
async def test_the_owner_says_what_becomes_of_missed_moments(ledger: Ledger, missed: Missed, places: list[int]) -> None:
    """Of hours that passed without a relay: one job for the latest, one for each, or none."""
    latest = datetime.now(UTC).replace(second=0, microsecond=0) - timedelta(minutes=30)
    await schedule(ledger, [a_schedule(f"{latest.minute} * * * *", missed=missed)])
    await due_since(ledger, latest - timedelta(hours=5))

    await look(ledger, relays=4)

    following = (await run_alone(ledger.platform.system_engine, _NEXT)).one()
    assert await moments(ledger) == [latest - timedelta(hours=place) for place in places]
    assert following.is_ahead


@pytest.mark.under_fire
async def test_a_moment_that_has_just_passed_is_not_skipped(ledger: Ledger) -> None:
    """Relays look once a second, and are away for a few when they are replaced."""
    await schedule(ledger, [a_schedule("* * * * *", missed="skip")])
    await due_since(ledger, datetime.now(UTC) - timedelta(hours=5))

    for _ in range(2):
        await look(ledger, relays=1)

    assert len(await moments(ledger)) == 1


@pytest.mark.under_fire
async def test_no_more_than_the_last_hundred_moments_are_made_up(ledger: Ledger) -> None:
    """Five hours of minutes are three hundred."""
    await schedule(ledger, [a_schedule("* * * * *", missed="all")])
    await due_since(ledger, datetime.now(UTC) - timedelta(hours=5))

    await look(ledger, relays=1)

    made = await moments(ledger)
    assert (len(made), made[-1] - made[0]) == (100, timedelta(minutes=99))


@pytest.mark.parametrize("missed", ["latest", "all"])
async def test_a_relay_that_dies_in_between_leaves_all_to_the_next(ledger: Ledger, missed: Missed) -> None:
    """With jobs made and not committed: they are made once, for the same moments."""
    latest = datetime.now(UTC).replace(second=0, microsecond=0) - timedelta(minutes=30)
    await schedule(ledger, [a_schedule(f"{latest.minute} * * * *", missed=missed)])
    await due_since(ledger, latest - timedelta(hours=1))
    async with ledger.admin() as admin:
        await admin.execute(_DIE_BEFORE_ADVANCING)
        for scheduler in schedulers(ledger, 1):
            with pytest.raises(DBAPIError):
                await scheduler.run_once()
        lost = await moments(ledger)
        await admin.execute("DROP TRIGGER die ON schedules; DROP FUNCTION die")

    await asyncio.gather(*[scheduler.run_once() for scheduler in schedulers(ledger, 4)])

    expected = {"latest": [latest], "all": [latest - timedelta(hours=1), latest]}
    assert (lost, await moments(ledger)) == ([], expected[missed])


async def test_a_schedule_that_is_written_again_goes_on(ledger: Ledger) -> None:
    """A moment that came just before is not lost; what is written differently is another schedule."""
    await schedule(ledger, [a_schedule(), a_schedule("0 8 * * *")])
    before = {row.cron: row.id for row in await listed(ledger)}
    await run_alone(ledger.platform.system_engine, _DUE)

    await schedule(ledger, [a_schedule(), a_schedule(), a_schedule("0 8 * * *", missed="all")])

    after = {row.cron: row.id for row in await listed(ledger)}
    assert (after["0 7 * * *"] == before["0 7 * * *"], after["0 8 * * *"] == before["0 8 * * *"]) == (True, False)
    assert [await scheduler.run_once() for scheduler in schedulers(ledger, 1)] == [1]


async def test_moments_of_a_schedule_that_is_off_pass_without_a_job(ledger: Ledger) -> None:
    """Also when its owner takes it away for a while; when it is on, it begins with its next moment."""
    engine, [scheduler] = ledger.platform.system_engine, schedulers(ledger, 1)
    await schedule(ledger, [a_schedule(missed="all"), a_schedule("0 8 * * *")])
    [chosen] = [row for row in await listed(ledger) if row.cron == "0 7 * * *"]
    await disable(engine, Choice(id=chosen.id), disabled_by="operator:o", reason="it floods")
    await suspend(ledger)
    await schedule(ledger, [a_schedule(missed="all"), a_schedule("0 8 * * *")])
    await run_alone(engine, _DUE)

    made = await scheduler.run_once()
    jobs_while_off = len(await moments(ledger))
    states = {row.cron: (row.state, row.reason, row.last_due_at is None) for row in await listed(ledger)}
    await enable(engine, Choice(owner="tenants.sums"))

    assert (made, jobs_while_off) == (2, 1)
    assert states == {"0 7 * * *": ("off", "it floods", True), "0 8 * * *": ("on", None, False)}
    assert (await scheduler.run_once(), {row.state for row in await listed(ledger)}) == (0, {"on"})


async def test_each_schedule_has_a_switch_of_its_own(ledger: Ledger) -> None:
    """Also beside one that differs only in what becomes of missed moments."""
    engine = ledger.platform.system_engine
    await schedule(ledger, [a_schedule(missed="all"), a_schedule(missed="skip")])
    [chosen] = [row for row in await listed(ledger) if row.missed == "all"]

    await disable(engine, Choice(id=chosen.id), disabled_by="operator:o")
    off = {row.missed: row.state for row in await listed(ledger)}
    await enable(engine, Choice(id=chosen.id))

    assert off == {"all": "off", "skip": "on"}
    assert {row.state for row in await listed(ledger)} == {"on"}


async def test_a_schedule_that_is_no_more_leaves_no_switch(ledger: Ledger) -> None:
    """Who writes it once more, later, gets one that is on; what stays stays off."""
    engine = ledger.platform.system_engine
    await schedule(ledger, [a_schedule(), a_schedule("0 8 * * *")])
    await disable(engine, Choice(owner="tenants.sums"), disabled_by="operator:o")

    await schedule(ledger, [a_schedule("0 8 * * *")])
    switches = (await run_alone(engine, _SWITCHES)).scalars().all()
    await schedule(ledger, [a_schedule(), a_schedule("0 8 * * *")])
    states = {row.cron: row.state for row in await listed(ledger)}
    await schedule(ledger, [])

    assert (switches, states) == (["0 8 * * *"], {"0 7 * * *": "on", "0 8 * * *": "off"})
    assert (await run_alone(engine, _SWITCHES)).scalars().all() == []


async def test_a_job_can_be_made_at_any_time(ledger: Ledger) -> None:
    """The schedule stays as it is; its own job is made as if nothing had been."""
    await schedule(ledger, [a_schedule(), a_schedule(kind=OF_TOMORROW)])
    before = await listed(ledger)

    choice, kinds = Choice(tenant_id=ledger.tenant_id), {COUNT.name: COUNT}
    [job_id] = await make_now(ledger.platform.system_engine, choice, kinds, actor="operator:o")

    job = await ledger.row(job_id)
    assert (job.actor, job.args["to"], "due_at" in job.args) == ("operator:o", 3, True)
    assert await listed(ledger) == before


async def listed(ledger: Ledger) -> list[ScheduleRow]:
    return await list_schedules(ledger.platform.system_engine, Choice(tenant_id=ledger.tenant_id))
