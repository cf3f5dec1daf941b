"""Two releases side by side: a job of a kind that one does not know waits for the other."""

import pytest

from rustok.jobs import NewJob
from rustok.jobs.pauses import Scope, pause, resume
from rustok.jobs.runner import JobRunner, RunnerConfig
from rustok.jobs.store import PostgresJobStore
from rustok.kernel.module import JobKind
from rustok.runtime import SystemClock
from tests.integration.jobs.ledger import COUNT, Ledger
from workers.newcomer import Newcomer

TOMORROW = JobKind(name="tenants.of_tomorrow", summary="?", queue="sums", max_attempts=1)


def runner(ledger: Ledger, *kinds: JobKind) -> JobRunner:
    """Return a worker that knows *kinds*."""
    handlers = dict.fromkeys([kind.name for kind in kinds], ledger.count)
    return JobRunner(RunnerConfig(), PostgresJobStore(ledger.workers_engine), handlers, SystemClock())


def newcomer(ledger: Ledger, *kinds: JobKind) -> Newcomer:
    """Return what such a worker does beside its messages."""
    return Newcomer(
        ledger.workers_engine,
        consumers={},
        known=(),
        runner=runner(ledger, *kinds),
        kinds=lambda: [kind.name for kind in kinds],
        is_quiet=lambda: False,
        clock=SystemClock(),
    )


@pytest.mark.under_fire
async def test_a_job_of_an_unknown_kind_is_done_by_the_release_that_knows_it(ledger: Ledger) -> None:
    """At its first attempt, though it was leased before by one that does not."""
    ids = await ledger.add(*[NewJob(kind=TOMORROW, args={"to": number}) for number in range(20)])
    await ledger.work(ledger.runner(ledger.count), ids)

    await ledger.answered(newcomer(ledger, COUNT, TOMORROW).take_up_jobs)
    await ledger.work(runner(ledger, TOMORROW), ids)  # what a lost answer would leave to the feeder

    ended = [await ledger.operation(job_id) for job_id in ids]
    assert {(operation.status, operation.attempts) for operation in ended} == {("done", 1)}


async def test_the_release_that_does_not_know_it_leaves_it_alone_from_then_on(ledger: Ledger) -> None:
    """It is no work for feeders, and no lease is granted for a hint that was sent before."""
    [job_id] = await ledger.add(NewJob(kind=TOMORROW, args={"to": 1}))
    old = ledger.runner(ledger.count)
    await old.work([job_id])

    again = await old.work([job_id])
    await newcomer(ledger, COUNT).take_up_jobs()

    row = await ledger.row(job_id)
    assert (again, await ledger.ready(), row.state, row.attempts) == (0, [], "needs_version", 0)


@pytest.mark.under_fire
async def test_a_job_that_waits_for_a_release_can_be_cancelled(ledger: Ledger) -> None:
    """It is queued, as far as its asker can tell."""
    [job_id] = await ledger.add(NewJob(kind=TOMORROW, args={"to": 1}))
    await ledger.work(ledger.runner(ledger.count), [job_id])

    assert (await ledger.cancel(job_id)).status == "cancelled"


@pytest.mark.under_fire
async def test_a_kind_that_is_paused_is_taken_up_and_waits(ledger: Ledger) -> None:
    """Like any other job of its kind."""
    scope = Scope(kind=TOMORROW.name)
    [job_id] = await ledger.add(NewJob(kind=TOMORROW, args={"to": 1}))
    await ledger.work(ledger.runner(ledger.count), [job_id])
    await pause(ledger.platform.system_engine, scope, paused_by="operator:o")

    await ledger.answered(newcomer(ledger, TOMORROW).take_up_jobs)
    row = await ledger.row(job_id)
    await resume(ledger.platform.system_engine, scope)

    assert (row.state, await ledger.ready()) == ("ready", [job_id])
