"""History: jobs that have ended, in partitions of a week, which go as a whole when nobody asks for them any more."""

import asyncio
from datetime import UTC, datetime, timedelta
from uuid import UUID, uuid4

import asyncpg
import pytest
from sqlalchemy import text

from rustok.db.engine import open_engine
from rustok.db.transaction import begin, run_alone
from rustok.jobs import Asker, NewJob, enqueue_for, finish
from rustok.jobs.history import keep_history
from tests.integration.jobs.ledger import COUNT, Ledger
from tests.waiting import eventually_async

KEPT_DAYS = 30
PARTITIONS = "SELECT inhrelid::regclass::text AS name FROM pg_inherits WHERE inhparent = 'finished_jobs'::regclass"
_PARTITION_OF = text("SELECT tableoid::regclass::text FROM finished_jobs WHERE id = :id")
_AGE = text("UPDATE finished_jobs SET finished_at = now() - make_interval(days => :days) WHERE id = :id")
_IS_ANYBODY_WAITING = """
    SELECT EXISTS (SELECT FROM pg_locks WHERE relation = 'finished_jobs'::regclass AND NOT granted)
"""
_LOOKED_INTO = text(
    """
    SELECT relname FROM pg_stat_xact_user_tables
     WHERE relname LIKE 'finished_jobs\\_%' AND coalesce(seq_scan, 0) + coalesce(idx_scan, 0) > 0
    """
)


@pytest.fixture(autouse=True)
async def three_weeks_ahead(ledger: Ledger) -> None:
    """Have the partitions that there are after an installation, and no other."""
    for name in await partitions(ledger) - {"finished_jobs_default"}:
        await drop(ledger, name)
    await keep(ledger)


def monday(weeks_ahead: int) -> datetime:
    today = datetime.now(UTC).replace(hour=0, minute=0, second=0, microsecond=0)
    return today + timedelta(weeks=weeks_ahead, days=-today.weekday())


def first_id(moment: datetime) -> UUID:
    return UUID(int=int(moment.timestamp() * 1000) << 80)


def id_at(moment: datetime) -> UUID:
    """Return an id that begins with *moment*."""
    return UUID(int=first_id(moment).int | 0x7 << 76 | 0b10 << 62 | uuid4().int & (1 << 62) - 1)


def partition_of(moment: datetime) -> str:
    return f"{moment:finished_jobs_%Gw%V}"


async def partitions(ledger: Ledger) -> set[str]:
    async with ledger.admin() as admin:
        return {row["name"] for row in await admin.fetch(PARTITIONS)}


async def partition_with(ledger: Ledger, job_id: UUID) -> str | None:
    found = await run_alone(ledger.platform.system_engine, _PARTITION_OF, {"id": job_id})
    return found.scalar_one_or_none()


async def drop(ledger: Ledger, *names: str) -> None:
    async with ledger.admin() as admin:
        for name in names:
            await admin.execute(f"DROP TABLE {name}")


async def make_week(ledger: Ledger, start: datetime) -> None:
    """Make the partition of a week as relays would have made it before."""
    owner = await asyncpg.connect(ledger.platform.database.owner_url)
    await owner.execute(
        f"CREATE TABLE {partition_of(start)} PARTITION OF finished_jobs "
        f"FOR VALUES FROM ('{first_id(start)}') TO ('{first_id(start + timedelta(weeks=1))}')"
    )
    await owner.close()


async def end_one(ledger: Ledger, job_id: UUID, days_ago: int = 0) -> None:
    """Let a job with this id have ended some days ago."""
    [job] = await ledger.grant(await ledger.add(NewJob(id=job_id, kind=COUNT, args={"to": 3})))
    await ledger.count(job)
    await run_alone(ledger.platform.system_engine, _AGE, {"id": job_id, "days": days_ago})


async def keep(ledger: Ledger) -> None:
    await keep_history(ledger.platform.system_engine, KEPT_DAYS)


async def test_a_job_is_kept_with_those_of_its_week(ledger: Ledger) -> None:
    """The week in which its id was made, by UTC; one that has no partition is kept apart."""
    in_two_weeks, long_ago = id_at(monday(2)), id_at(monday(-20))

    for job_id in (in_two_weeks, long_ago):
        await end_one(ledger, job_id)

    found = [await partition_with(ledger, job_id) for job_id in (in_two_weeks, long_ago)]
    assert found == [partition_of(monday(2)), "finished_jobs_default"]
    assert [(await ledger.operation(job_id)).status for job_id in (in_two_weeks, long_ago)] == ["done", "done"]


async def test_an_id_is_looked_up_in_one_partition(ledger: Ledger) -> None:
    """However many there are: each job that is made asks whether its id was used before."""
    await end_one(ledger, job_id := id_at(monday(2)))
    asker = Asker(tenant_id=ledger.tenant_id, actor="operator:o", correlation_id=uuid4(), causation_id=None)
    jobs = [NewJob(id=id_, kind=COUNT, args={}) for id_ in (job_id, id_at(monday(2) + timedelta(days=3)))]

    system_url = ledger.platform.database.system_url
    async with open_engine(system_url) as newcomer, begin(newcomer, "BEGIN") as (transaction, _):
        await enqueue_for(transaction, [(asker, job) for job in jobs])
        looked_into = (await transaction.execute(_LOOKED_INTO)).scalars().all()

    assert looked_into == [partition_of(monday(2))]
    assert await ledger.ready() == [jobs[1].id]


@pytest.mark.parametrize(
    ("ended_days_ago", "is_kept"), [((60, 40), False), ((60, 29), True), ((), False)], ids=["old", "young", "empty"]
)
async def test_a_week_goes_when_all_its_jobs_ended_long_ago(
    ledger: Ledger, ended_days_ago: tuple[int, ...], is_kept: bool
) -> None:
    """One that waited for long keeps its week: what is promised counts from a job's end."""
    await make_week(ledger, monday(-9))
    for days in ended_days_ago:
        await end_one(ledger, id_at(monday(-9)), days)

    await keep(ledger)

    assert (partition_of(monday(-9)) in await partitions(ledger)) == is_kept


async def test_weeks_that_are_not_over_for_long_enough_stay(ledger: Ledger) -> None:
    """Also empty ones: their jobs may end yet. A kept week holds up no other."""
    for week in (-9, -8, -3, -2):
        await make_week(ledger, monday(week))
    await end_one(ledger, id_at(monday(-9)))

    await keep(ledger)

    weeks = {partition_of(monday(week)) for week in (-9, -3, -2, 1, 2, 3)}
    assert await partitions(ledger) == {*weeks, "finished_jobs_default"}


async def test_a_job_that_ends_when_its_week_is_gone_is_kept_and_forgotten_like_any(ledger: Ledger) -> None:
    """Such as a dead letter that is redriven after months."""
    late, old = id_at(monday(-9)), id_at(monday(-9))
    await make_week(ledger, monday(-9))
    await keep(ledger)

    await end_one(ledger, late)
    await end_one(ledger, old, days_ago=31)
    await keep(ledger)

    assert [await partition_with(ledger, job_id) for job_id in (late, old)] == ["finished_jobs_default", None]


async def test_after_weeks_without_a_relay_jobs_move_to_the_partition_of_their_week(ledger: Ledger) -> None:
    """A job whose week had no partition ended nevertheless, and is found before and after."""
    await drop(ledger, *(partition_of(monday(week)) for week in (1, 2, 3)))
    await end_one(ledger, job_id := id_at(monday(1)))
    before = await partition_with(ledger, job_id)

    await keep(ledger)

    assert [before, await partition_with(ledger, job_id)] == ["finished_jobs_default", partition_of(monday(1))]
    assert (await ledger.operation(job_id)).result == {"counted": 3}


async def test_a_long_reader_is_not_waited_for(ledger: Ledger) -> None:
    """Whoever waits for the history keeps jobs from being made: the next hour is early enough."""
    await make_week(ledger, monday(-9))
    await drop(ledger, partition_of(monday(3)))
    async with ledger.admin() as reader:
        await reader.execute("BEGIN; SELECT count(*) FROM finished_jobs")
        await keep(ledger)
        meanwhile = await partitions(ledger)

    await keep(ledger)

    assert (partition_of(monday(-9)) in meanwhile, partition_of(monday(3)) in meanwhile) == (True, False)
    assert (await partitions(ledger)) ^ meanwhile == {partition_of(monday(-9)), partition_of(monday(3))}


async def test_a_job_that_ends_while_its_week_is_to_be_dropped_keeps_it(ledger: Ledger) -> None:
    """Whoever would drop the week waits for a lock, and looks again when it has it."""
    await make_week(ledger, monday(-9))
    [job] = await ledger.grant(await ledger.add(NewJob(id=id_at(monday(-9)), kind=COUNT, args={"to": 3})))
    async with ledger.admin() as admin, begin(ledger.platform.system_engine, "BEGIN") as (transaction, _):
        await finish(transaction, job)
        keeping = asyncio.create_task(keep(ledger))

        async def is_waited_for() -> bool:
            return keeping.done() or await admin.fetchval(_IS_ANYBODY_WAITING)

        await eventually_async(is_waited_for)
    await keeping

    assert await partition_with(ledger, job.id) == partition_of(monday(-9))


async def test_relays_that_do_it_at_once_do_it_once(ledger: Ledger) -> None:
    """Neither fails, whoever is first."""
    await drop(ledger, partition_of(monday(3)))
    await make_week(ledger, monday(-9))

    await asyncio.gather(*(keep(ledger) for _ in range(4)))

    assert await partitions(ledger) == {*(partition_of(monday(w)) for w in (1, 2, 3)), "finished_jobs_default"}
