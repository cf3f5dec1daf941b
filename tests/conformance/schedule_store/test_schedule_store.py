"""What every store of schedules promises: one holder a schedule, jobs and the next moment in one commit."""

from collections.abc import Sequence
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID, uuid4

from rustok.jobs.ledger import Asker, NewJob
from rustok.jobs.scheduler import DueSchedule, Following, HeldSchedules
from rustok.kernel.module import JobKind
from tests.conformance.schedule_store.stores import StoreUnderTest
from tests.integration.jobs.ledger import COUNT

OF_TOMORROW = JobKind(name="tenants.of_tomorrow", summary="?", queue="sums")
FAR_AHEAD = datetime(2100, 1, 1, tzinfo=UTC)


class Refused(Exception):
    """A relay dies."""


async def due(under_test: StoreUnderTest) -> Sequence[UUID]:
    """Return what a relay would get."""
    async with under_test.store.hold_due([COUNT.name]) as held:
        return [schedule.id for schedule in held.due]


async def move_on(held: HeldSchedules, due_at: datetime | None) -> None:
    """Make a job of each schedule, and let it be due again at *due_at*."""
    await held.make([a_job(schedule) for schedule in held.due])
    await held.advance([Following(s.tenant_id, s.id, due_at, s.due_at) for s in held.due])


def a_job(schedule: DueSchedule) -> tuple[Asker, NewJob]:
    asker = Asker(tenant_id=schedule.tenant_id, actor=schedule.actor, correlation_id=uuid4(), causation_id=None)
    return asker, NewJob(kind=COUNT, args={"of": str(schedule.id)})


def jobs_of(*schedule_ids: UUID) -> list[dict[str, Any]]:
    return [{"of": str(schedule_id)} for schedule_id in schedule_ids]


async def test_what_is_due_is_held_the_longest_due_first(under_test: StoreUnderTest) -> None:
    """What lies ahead is not, nor what is of a kind that this release does not know."""
    second = await under_test.add(COUNT, due_since_s=60)
    first = await under_test.add(COUNT, due_since_s=120)
    await under_test.add(COUNT, due_since_s=-60)
    await under_test.add(OF_TOMORROW, due_since_s=300)

    assert await due(under_test) == [first, second]


async def test_nothing_is_held_where_nothing_is_due(under_test: StoreUnderTest) -> None:
    """As nearly every second."""
    await under_test.add(COUNT, due_since_s=-60)

    assert await due(under_test) == []


async def test_a_schedule_tells_what_is_to_be_done_and_the_stores_time(under_test: StoreUnderTest) -> None:
    """Relays' own clocks differ."""
    await under_test.add(COUNT, due_since_s=90)

    async with under_test.store.hold_due([COUNT.name]) as held:
        [schedule] = held.due

    assert (schedule.kind, schedule.args, schedule.cron, schedule.timezone) == (
        COUNT.name,
        {"to": 3},
        "* * * * *",
        "UTC",
    )
    assert (schedule.missed, schedule.last_due_at, schedule.is_off) == ("all", None, False)
    assert schedule.now - schedule.due_at >= timedelta(seconds=90)


async def test_a_schedule_that_is_off_tells_so(under_test: StoreUnderTest) -> None:
    """Its moments pass all the same."""
    off = await under_test.add(COUNT, due_since_s=60)
    await under_test.switch_off(off)

    async with under_test.store.hold_due([COUNT.name]) as held:
        assert [(schedule.id, schedule.is_off) for schedule in held.due] == [(off, True)]


async def test_a_schedule_has_one_holder(under_test: StoreUnderTest) -> None:
    """Another relay passes over it at once, and gets what has become due meanwhile."""
    first = await under_test.add(COUNT, due_since_s=60)

    async with under_test.store.hold_due([COUNT.name]) as held:
        second = await under_test.add(COUNT, due_since_s=1)
        meanwhile = await due(under_test)

    assert ([schedule.id for schedule in held.due], meanwhile) == ([first], [second])
    assert await due(under_test) == [first, second]


async def test_jobs_and_the_next_moment_are_committed_together(under_test: StoreUnderTest) -> None:
    """Nobody sees one of them before."""
    schedule = await under_test.add(COUNT, due_since_s=60)
    async with under_test.store.hold_due([COUNT.name]) as held:
        await move_on(held, FAR_AHEAD)
        jobs_before = await under_test.jobs()

    assert (jobs_before, await under_test.jobs(), await due(under_test)) == ([], jobs_of(schedule), [])


async def test_jobs_and_the_next_moment_are_rolled_back_together(under_test: StoreUnderTest) -> None:
    """The next relay does all of it again."""
    schedule = await under_test.add(COUNT, due_since_s=60)
    with suppress(Refused):
        async with under_test.store.hold_due([COUNT.name]) as held:
            await move_on(held, FAR_AHEAD)
            raise Refused

    assert (await under_test.jobs(), await due(under_test)) == ([], [schedule])


async def test_a_schedule_is_due_again_at_its_next_moment(under_test: StoreUnderTest) -> None:
    """And tells which moment became a job last."""
    schedule = await under_test.add(COUNT, due_since_s=60)
    async with under_test.store.hold_due([COUNT.name]) as held:
        [before] = held.due
        await move_on(held, before.now)

    async with under_test.store.hold_due([COUNT.name]) as held:
        [again] = held.due

    assert (again.id, again.due_at, again.last_due_at) == (schedule, before.now, before.due_at)


async def test_a_schedule_without_a_next_moment_is_never_due_again(under_test: StoreUnderTest) -> None:
    """Until its owner writes it anew."""
    await under_test.add(COUNT, due_since_s=60)
    async with under_test.store.hold_due([COUNT.name]) as held:
        await move_on(held, None)

    assert await due(under_test) == []
