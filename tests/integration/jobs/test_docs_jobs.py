"""What docs/contributor.md says of jobs that wait, of keys, priorities and schedules, is so."""

from datetime import UTC, datetime, timedelta
from uuid import UUID

from sqlalchemy import text

from rustok.db.transaction import run_alone
from rustok.jobs import NewJob, enqueue
from rustok.jobs.schedule_desk import Choice, list_schedules
from rustok.jobs.schedule_store import PostgresScheduleStore
from rustok.jobs.scheduler import Scheduler
from rustok.runtime import SystemClock
from tests.integration.jobs.brands_jobs import COUNT, FORGET, count_each_night, forget_tomorrow
from tests.integration.jobs.ledger import Ledger

BRAND = UUID(int=7)

_JOBS = text("SELECT id, kind, args, due_at, priority, dedup_key FROM jobs")
_SCHEDULES_DUE = text("UPDATE schedules SET due_at = now() - interval '1 second'")


async def forget(ledger: Ledger, brand_id: UUID = BRAND) -> None:
    async with ledger.platform.platform.units.begin(ledger.platform.context(ledger.tenant_id)) as uow:
        await forget_tomorrow(uow, brand_id)


async def test_a_job_with_a_key_is_made_once_while_it_waits(ledger: Ledger) -> None:
    """However often it is asked for; it is due when it was asked to be, and no worker has it before."""
    for _ in range(2):
        await forget(ledger)

    [job] = await run_alone(ledger.platform.system_engine, _JOBS)

    assert (job.kind, job.args) == ("brands.forget", {"brand_id": str(BRAND)})
    assert (job.priority, job.dedup_key) == (-1, str(BRAND))
    assert timedelta(hours=23) < job.due_at - datetime.now(UTC) < timedelta(hours=25)
    assert await ledger.grant([job.id]) == []


async def test_a_job_of_a_higher_priority_goes_first(ledger: Ledger) -> None:
    """Within its tenant, whichever has waited longer."""
    await forget(ledger)
    await ledger.make_due()
    usual = NewJob(kind=FORGET, args={})
    async with ledger.platform.platform.units.begin(ledger.platform.context(ledger.tenant_id)) as uow:
        await enqueue(uow, [usual])

    [first] = await ledger.store.grant_ready("default", 1, 6.0)

    assert first.id == usual.id


async def test_a_schedule_makes_a_job_at_each_of_its_moments(ledger: Ledger) -> None:
    """Of which there is one, however often it was set; the job is told the moment."""
    for _ in range(2):
        async with ledger.platform.platform.units.begin(ledger.platform.context(ledger.tenant_id)) as uow:
            await count_each_night(uow)
    [schedule] = await list_schedules(ledger.platform.system_engine, Choice(tenant_id=ledger.tenant_id))
    await run_alone(ledger.platform.system_engine, _SCHEDULES_DUE)

    store = PostgresScheduleStore(ledger.platform.system_engine)
    await Scheduler({COUNT.name: COUNT}, store, SystemClock()).run_once()

    [job] = await run_alone(ledger.platform.system_engine, _JOBS)
    assert (schedule.owner, schedule.cron, schedule.timezone) == ("brands", "0 3 * * *", "Europe/Berlin")
    assert (job.kind, list(job.args)) == ("brands.count", ["due_at"])
