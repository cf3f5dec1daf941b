"""A job that hangs does not hang for ever, whether its worker hangs with it or goes on to renew the lease."""

import asyncio
import threading

from rustok.db.engine import open_engine
from rustok.jobs import Leased
from rustok.jobs.run_limit import limited
from rustok.jobs.runner import JobRunner, RunnerConfig
from rustok.jobs.store import PostgresJobStore
from rustok.kernel.module import JobKind
from rustok.runtime import SystemClock
from tests.integration.jobs.ledger import COUNT, Ledger
from tests.waiting import eventually_async
from workers.event_loop import EventLoopThread

IMPATIENT = JobKind(name=COUNT.name, summary="Count", queue="sums", max_attempts=2, max_run_s=0.05)


class Blocking:
    """Handles a job by a call that blocks the event loop until *go_on*."""

    def __init__(self) -> None:
        self.go_on = threading.Event()

    async def __call__(self, _job: Leased) -> None:
        self.go_on.wait()


async def never_ends(_job: Leased) -> None:
    await asyncio.Event().wait()


async def test_a_blocked_event_loop_loses_its_leases(ledger: Ledger) -> None:
    """They are renewed on it, so others have its jobs; what it does with them afterwards is refused."""
    [job_id], blocking = await ledger.add(), Blocking()
    config = RunnerConfig(lease_s=0.2, renew_s=0.05)

    async def work() -> None:
        async with open_engine(ledger.platform.database.system_url) as engine:
            runner = JobRunner(config, PostgresJobStore(engine), {COUNT.name: blocking}, SystemClock())
            await runner.work([job_id])

    with EventLoopThread() as hanging:
        working = asyncio.get_running_loop().run_in_executor(None, hanging.run, work())
        await eventually_async(ledger.store.rescue)
        [other] = await ledger.grant([job_id])
        blocking.go_on.set()
        await working

    row = await ledger.row(job_id)
    assert (row.state, row.attempts, row.lease_token) == ("leased", 2, other.token)


async def test_a_job_that_makes_no_progress_is_stopped(ledger: Ledger) -> None:
    """Its lease would be renewed for ever. The attempt counts as failed, and says of what."""
    [job_id] = await ledger.add()

    await ledger.runner(limited(IMPATIENT, never_ends)).work([job_id])

    row = await ledger.row(job_id)
    assert (row.state, row.attempts) == ("ready", 1)
    assert row.error["code"] == "job_ran_too_long"
    assert "0.05 s" in row.error["message"]


async def test_a_job_that_makes_no_progress_again_and_again_is_given_up(ledger: Ledger) -> None:
    """After its attempts it is a dead letter, as with any other error."""
    [job_id] = await ledger.add()
    runner = ledger.runner(limited(IMPATIENT, never_ends))

    for _ in range(IMPATIENT.max_attempts):
        await ledger.make_due()
        await runner.work([job_id])

    row = await ledger.row(job_id)
    assert (row.state, row.error["code"]) == ("dead", "job_ran_too_long")


async def test_a_time_limit_of_the_handler_itself_is_its_own_affair(ledger: Ledger) -> None:
    """A server that does not answer is no fault of the job: no attempt is counted."""

    async def waits_for_a_server(_job: Leased) -> None:
        raise TimeoutError

    [job_id] = await ledger.add()
    await ledger.runner(limited(IMPATIENT, waits_for_a_server)).work([job_id])

    row = await ledger.row(job_id)
    assert (row.state, row.attempts) == ("ready", 0)
