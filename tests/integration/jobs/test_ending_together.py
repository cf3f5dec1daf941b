"""Jobs without effects in PostgreSQL are ended by the runner, many with one statement, each on its own merits."""

import asyncio
from uuid import UUID

import asyncpg
from sqlalchemy import text

from rustok.db.transaction import run_alone
from rustok.jobs import Leased, NewJob
from rustok.jobs.runner import Done
from tests.integration.jobs.ledger import COUNT, Ledger

_TAKE_AWAY = text("UPDATE jobs SET lease_token = gen_random_uuid() WHERE id = :id")
_TRANSACTIONS = "SELECT count(DISTINCT xmin::text) FROM finished_jobs"
_HOLD_HISTORY = "BEGIN; LOCK TABLE finished_jobs IN SHARE MODE"
_WAITING = "SELECT count(*) FROM pg_locks WHERE NOT granted"


async def some_jobs(ledger: Ledger, count: int = 3) -> list[UUID]:
    return await ledger.add(*[NewJob(kind=COUNT, args={"to": number}) for number in range(count)])


async def counted(job: Leased) -> Done:
    return Done({"counted": job.args["to"]})


async def test_jobs_of_a_message_end_in_one_transaction_each_with_its_result(ledger: Ledger) -> None:
    """A transaction a job is what most of the time of a short job would go to."""
    ids = await some_jobs(ledger)

    await ledger.runner(counted).work(ids)

    ended = [await ledger.operation(job_id) for job_id in ids]
    assert [(one.status, one.result) for one in ended] == [("done", {"counted": number}) for number in range(3)]
    async with ledger.admin() as admin:
        assert await admin.fetchval(_TRANSACTIONS) == 1


async def test_a_job_whose_lease_was_lost_leaves_those_that_end_with_it_alone(ledger: Ledger) -> None:
    """It is somebody else's: he ends it."""
    ids = await some_jobs(ledger)

    async def count(job: Leased) -> Done:
        if job.id == ids[1]:
            await run_alone(ledger.platform.system_engine, _TAKE_AWAY, {"id": job.id})
        return await counted(job)

    await ledger.runner(count).work(ids)

    assert [(await ledger.operation(job_id)).status for job_id in ids] == ["done", "running", "done"]


async def test_a_result_that_cannot_be_written_fails_its_own_attempt_only(ledger: Ledger) -> None:
    """PostgreSQL refuses the whole statement for one NUL: then each job is ended alone."""
    ids = await some_jobs(ledger)

    async def count(job: Leased) -> Done:
        return Done("\0") if job.id == ids[1] else await counted(job)

    await ledger.runner(count).work(ids)

    failed = await ledger.row(ids[1])
    assert [(await ledger.operation(job_id)).status for job_id in ids] == ["done", "queued", "done"]
    assert (failed.attempts, failed.error["code"]) == (1, "internal_error")


async def test_one_that_raises_leaves_those_that_end_alone(ledger: Ledger) -> None:
    ids = await some_jobs(ledger)

    async def count(job: Leased) -> Done:
        return Done(1 // job.args["to"])

    await ledger.runner(count).work(ids)

    assert [(await ledger.operation(job_id)).status for job_id in ids] == ["queued", "done", "done"]


async def test_what_is_being_ended_while_the_worker_stops_is_ended(ledger: Ledger) -> None:
    """It was done: handing it back would have it done twice."""
    [job_id] = await some_jobs(ledger, 1)
    begun = asyncio.Event()

    async def count(job: Leased) -> Done:
        begun.set()
        return await counted(job)

    runner = ledger.runner(count)
    async with ledger.admin() as admin:
        await admin.execute(_HOLD_HISTORY)  # no job can be ended before the commit
        working = asyncio.create_task(runner.work([job_id]))
        await begun.wait()
        stopping = asyncio.create_task(runner.stop())
        await until_somebody_waits(admin)
        await admin.execute("COMMIT")
    await asyncio.gather(working, stopping, return_exceptions=True)

    assert (await ledger.operation(job_id)).status == "done"


async def until_somebody_waits(admin: asyncpg.Connection) -> None:
    """Return as soon as a session of the server waits for a lock."""
    while not await admin.fetchval(_WAITING):  # noqa: ASYNC110 - PostgreSQL gives no signal
        await asyncio.sleep(0)
