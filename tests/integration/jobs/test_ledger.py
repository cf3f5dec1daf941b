"""A job is asked for with the rows that need it, done once, and ended by whoever holds its lease, or nobody."""

import asyncio
from collections.abc import Collection, Mapping
from datetime import timedelta
from uuid import UUID

import pytest

from rustok.db.engine import open_engine
from rustok.db.unit_of_work import UnitOfWorkFactory
from rustok.jobs import Leased, LeaseLost, NewJob, enqueue, fail, finish, hand_back, redrive, report
from rustok.jobs.desk import purge_waiting
from rustok.jobs.operations import OperationNotFound, Progress
from rustok.jobs.pauses import Scope
from rustok.jobs.rescuer import Rescuer
from rustok.jobs.runner import JobRunner, RunnerConfig
from rustok.jobs.store import PostgresJobStore
from rustok.kernel.errors import Unavailable
from rustok.kernel.module import JobKind
from rustok.kernel.ports import MadeJob
from rustok.kernel.secrets import Secrets
from rustok.runtime import SystemClock
from rustok.testing import RecordingTransport
from tests.integration.jobs.ledger import COUNT, Ledger
from tests.waiting import eventually_async

_WAITS = """
    SELECT count(*) > 0 FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'
"""

FAULT = {"code": "sum_too_large", "message": "It does not fit."}


async def test_a_job_begins_and_ends_as_an_operation(ledger: Ledger) -> None:
    """Queued, running, done: with what came of it."""
    [job_id] = await ledger.add()
    queued = await ledger.operation(job_id)

    [job] = await ledger.grant([job_id])
    await ledger.end(report, job, 1, 3)
    running = await ledger.operation(job_id)
    await ledger.count(job)
    done = await ledger.operation(job_id)

    assert [queued.status, running.status, done.status] == ["queued", "running", "done"]
    assert running.progress == Progress(done=1, total=3)
    assert (done.result, done.attempts, done.kind) == ({"counted": 3}, 1, "tenants.count")


async def test_a_job_of_a_transaction_that_rolled_back_was_never_there(ledger: Ledger) -> None:
    """It begins with the rows that ask for it."""

    async def ask_and_fail() -> None:
        async with ledger.platform.platform.units.begin(ledger.platform.context(ledger.tenant_id)) as uow:
            await enqueue(uow, [NewJob(kind=COUNT, args={})])
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        await ask_and_fail()

    assert await ledger.ready() == []


async def test_only_the_grant_counts_an_attempt(ledger: Ledger) -> None:
    """A hint that nobody took up costs nothing."""
    [job_id] = await ledger.add()
    await ledger.ready()
    before = await ledger.row(job_id)

    [job] = await ledger.grant([job_id])

    assert (before.attempts, job.attempt, (await ledger.row(job_id)).attempts) == (0, 1, 1)


async def test_a_leased_job_is_not_granted_again(ledger: Ledger) -> None:
    """Twice the same hint, or two workers: one of them has it."""
    [job_id] = await ledger.add()

    granted = await asyncio.gather(*[ledger.grant([job_id]) for _ in range(4)])

    assert sorted(map(len, granted)) == [0, 0, 0, 1]


async def test_who_lost_the_lease_cannot_end_the_job(ledger: Ledger) -> None:
    """A worker that was asleep for too long finds that another one has it; its effects are rolled back."""
    [job_id] = await ledger.add()
    [sleeper] = await ledger.grant([job_id])
    await ledger.lose_leases()
    await ledger.store.rescue()
    [other] = await ledger.grant([job_id])

    for how, *arguments in ((finish,), (fail, FAULT, 0.0), (hand_back, 0.0)):
        with pytest.raises(LeaseLost):
            await ledger.end(how, sleeper, *arguments)
    await ledger.count(other)

    assert (await ledger.operation(job_id)).status == "done"


async def test_a_failed_attempt_is_due_again_later(ledger: Ledger) -> None:
    """And says meanwhile why it failed."""
    [job_id] = await ledger.add()
    [job] = await ledger.grant([job_id])

    await ledger.end(fail, job, FAULT, 60.0)

    operation = await ledger.operation(job_id)
    assert (operation.status, operation.error) == ("queued", FAULT)
    assert await ledger.ready() == []
    await ledger.make_due()
    assert await ledger.ready() == [job_id]


async def test_a_job_that_was_put_off_is_no_hint_any_more(ledger: Ledger) -> None:
    """Else the jobs of one paused script would hold the window that all tenants share."""
    [job_id] = await ledger.add()
    [job] = await ledger.grant([job_id])

    await ledger.end(hand_back, job, 60.0)

    assert await ledger.store.still_ready([job_id]) == {}


async def test_a_job_without_attempts_left_is_a_dead_letter(ledger: Ledger) -> None:
    """It stays until somebody looks at it."""
    [job_id] = await ledger.add()
    [job] = await ledger.grant([job_id])

    await ledger.end(fail, job, FAULT, None)

    operation = await ledger.operation(job_id)
    assert (operation.status, operation.error) == ("failed", FAULT)
    assert await ledger.grant([job_id]) == []


async def test_a_job_handed_back_has_used_no_attempt(ledger: Ledger) -> None:
    """What kept it from being done was not its own fault."""
    [job_id] = await ledger.add()
    [job] = await ledger.grant([job_id])

    await ledger.end(hand_back, job, 0.0)

    [again] = await ledger.grant([job_id])
    assert again.attempt == 1


async def test_a_lost_job_is_rescued_and_in_the_end_given_up(ledger: Ledger) -> None:
    """A worker that dies with it each time does not get it for ever."""
    [job_id] = await ledger.add()
    rescuer = Rescuer(ledger.store, SystemClock())
    states = []

    for _attempt in range(COUNT.max_attempts):
        await ledger.grant([job_id])
        assert await rescuer.run_once() == 0
        await ledger.lose_leases()
        assert await rescuer.run_once() == 1
        states.append((await ledger.row(job_id)).state)

    assert states == ["ready", "dead"]
    error = (await ledger.operation(job_id)).error
    assert error is not None
    assert error["code"] == "worker_lost"


async def test_a_lost_job_that_was_cancelled_is_over(ledger: Ledger) -> None:
    """Nobody is left to be told of it; it is not started again for that."""
    [job_id] = await ledger.add()
    [kept_id] = await ledger.add()
    await ledger.grant([job_id, kept_id])
    await ledger.cancel(job_id)
    await ledger.lose_leases()

    rescued = await ledger.store.rescue()

    assert {row.id: row.state for row in rescued} == {job_id: "cancelled", kept_id: "ready"}
    operation = await ledger.operation(job_id)
    assert (operation.status, operation.attempts, await ledger.row(job_id)) == ("cancelled", 1, None)


async def test_a_dead_letter_that_is_sent_again_begins_anew(ledger: Ledger) -> None:
    """With all its attempts; that somebody once cancelled it is forgotten."""
    [job_id] = await ledger.add()
    [job] = await ledger.grant([job_id])
    await ledger.cancel(job_id)
    await ledger.end(fail, job, FAULT, None)

    count = await redriven(ledger)

    [again] = await ledger.grant([job_id])
    assert (count, again.attempt, again.is_cancelled) == (1, 1, False)


async def test_dead_letters_of_one_key_are_sent_again_together(ledger: Ledger) -> None:
    """And beside the job that has the key by now: each of them was asked for."""

    def keyed() -> NewJob:
        return NewJob(kind=COUNT, args={"to": 1}, dedup_key="nightly")

    for _ in range(2):
        [job] = await ledger.grant(await ledger.add(keyed()))
        await ledger.end(fail, job, FAULT, None)
    await ledger.add(keyed())

    count = await redriven(ledger)

    assert (count, len(await ledger.ready())) == (2, 3)


async def redriven(ledger: Ledger) -> int:
    async with ledger.platform.platform.units.begin(ledger.platform.context(ledger.tenant_id)) as uow:
        return await redrive(uow, COUNT, {})


async def test_a_key_makes_one_job_at_a_time(ledger: Ledger) -> None:
    """While it waits or runs; when it is done the key is free again, and another tenant's key is another key."""

    def keyed() -> NewJob:
        return NewJob(kind=COUNT, args={"to": 1}, dedup_key="nightly")

    [first] = await ledger.add(keyed())
    await ledger.add(keyed())
    await ledger.add(keyed(), tenant_id=ledger.other_tenant_id)
    waiting = await ledger.ready()

    [job] = await ledger.grant([first])
    await ledger.add(keyed())
    await ledger.count(job)
    [second] = await ledger.add(keyed())

    assert len(waiting) == 2
    assert (await ledger.row(second)).state == "ready"


async def test_the_most_urgent_goes_first_and_tenants_take_turns(ledger: Ledger) -> None:
    """A tenant with a hundred jobs does not keep another one waiting."""
    many = await ledger.add(*[NewJob(kind=COUNT, args={}) for _ in range(100)])
    [urgent] = await ledger.add(NewJob(kind=COUNT, args={}, priority=5))
    [other] = await ledger.add(tenant_id=ledger.other_tenant_id)

    ready = await ledger.ready(limit=4)

    assert set(ready[:2]) == {urgent, other}
    assert ready[2:] == many[:2]


async def test_a_job_waits_for_its_time(ledger: Ledger) -> None:
    """It cannot be leased before either, whatever a message says."""
    in_an_hour = SystemClock().now() + timedelta(hours=1)
    [job_id] = await ledger.add(NewJob(kind=COUNT, args={}, due_at=in_an_hour))

    assert (await ledger.ready(), await ledger.grant([job_id])) == ([], [])


async def test_whoever_hands_jobs_out_is_told_which_may_begin(ledger: Ledger) -> None:
    """Once they are committed; those that are due later it has to look for."""
    told: list[MadeJob] = []
    now, later = (
        NewJob(kind=COUNT, args={}),
        NewJob(kind=COUNT, args={}, due_at=SystemClock().now() + timedelta(hours=1)),
    )
    async with open_engine(ledger.platform.database.app_url) as engine:
        secrets = Secrets("a secret of the tests")
        units = UnitOfWorkFactory(engine, RecordingTransport(), SystemClock(), secrets, told.extend)
        async with units.begin(ledger.platform.context(ledger.tenant_id)) as uow:
            await enqueue(uow, [now, later])
            told_before = [*told]

    assert (told_before, told) == ([], [MadeJob("sums", now.id, ledger.tenant_id)])


async def test_cancelling_ends_a_waiting_job(ledger: Ledger) -> None:
    """It is not started any more; cancelling again changes nothing."""
    [job_id] = await ledger.add()

    assert (await ledger.cancel(job_id)).status == "cancelled"
    assert (await ledger.cancel(job_id)).status == "cancelled"
    assert await ledger.grant([job_id]) == []


async def test_cancelling_stops_a_running_job(ledger: Ledger) -> None:
    """Its worker hears of it when it renews the lease."""
    [job_id] = await ledger.add()
    begun, never = asyncio.Event(), asyncio.Event()

    async def count(_job: Leased) -> None:
        begun.set()
        await never.wait()

    working = asyncio.create_task(ledger.runner(count, RunnerConfig(renew_s=0.01)).work([job_id]))
    await begun.wait()
    await ledger.cancel(job_id)
    await working

    assert (await ledger.operation(job_id)).status == "cancelled"


@pytest.mark.parametrize(
    ("before", "meanwhile", "status"),
    [
        ("ready", "state = 'leased', lease_token = gen_random_uuid(), lease_expires_at = now() + '1 hour'", "running"),
        ("leased", "state = 'ready', lease_token = NULL, lease_expires_at = NULL", "cancelled"),
    ],
    ids=["leased", "given back"],
)
async def test_cancelling_waits_for_whoever_leases_the_job_or_gives_it_back(
    ledger: Ledger, before: str, meanwhile: str, status: str
) -> None:
    """And means the job as it is then."""
    [job_id] = await ledger.add()
    if before == "leased":
        await ledger.grant([job_id])
    async with ledger.admin() as admin, ledger.admin() as observer:
        async with admin.transaction():
            await admin.execute(f"UPDATE jobs SET {meanwhile} WHERE id = $1", job_id)
            cancelling = asyncio.create_task(ledger.cancel(job_id))
            await eventually_async(lambda: observer.fetchval(_WAITS))
        operation = await cancelling

    row = await ledger.row(job_id)
    assert (operation.status, row is None or row.is_cancelled) == (status, True)


class FailsToRenewOnce(PostgresJobStore):
    """Cannot renew leases the first time, for a reason that nobody has foreseen."""

    failed = False

    async def renew(self, ids: Collection[UUID], token: UUID, lease_s: float) -> Mapping[UUID, bool]:
        if not self.failed:
            self.failed = True
            raise KeyError("lease")
        return await super().renew(ids, token, lease_s)


async def test_leases_are_renewed_again_after_whatever_failure(ledger: Ledger) -> None:
    """Else others would do what goes on here, a second time."""
    store = FailsToRenewOnce(ledger.platform.system_engine)
    [job_id] = await ledger.add()
    begun, go_on = asyncio.Event(), asyncio.Event()

    async def count(job: Leased) -> None:
        begun.set()
        await go_on.wait()
        await ledger.count(job)

    runner = JobRunner(RunnerConfig(renew_s=0.01), store, {COUNT.name: count}, SystemClock())
    working = asyncio.create_task(runner.work([job_id]))
    await begun.wait()
    leased = await ledger.row(job_id)
    while (await ledger.row(job_id)).lease_expires_at == leased.lease_expires_at:
        pass
    go_on.set()
    await working

    assert (store.failed, (await ledger.operation(job_id)).status) == (True, "done")


async def test_a_running_job_keeps_its_lease(ledger: Ledger) -> None:
    """However long it takes."""
    [job_id] = await ledger.add()
    begun, go_on = asyncio.Event(), asyncio.Event()

    async def count(job: Leased) -> None:
        begun.set()
        await go_on.wait()
        await ledger.count(job)

    working = asyncio.create_task(ledger.runner(count, RunnerConfig(renew_s=0.01)).work([job_id]))
    await begun.wait()
    leased = await ledger.row(job_id)
    while (await ledger.row(job_id)).lease_expires_at == leased.lease_expires_at:
        pass
    go_on.set()
    await working

    assert (await ledger.operation(job_id)).status == "done"


@pytest.mark.parametrize(
    ("raised", "state", "attempts"), [(ValueError("a defect"), "ready", 1), (Unavailable("away"), "ready", 0)]
)
async def test_what_a_handler_raises_ends_the_attempt(
    ledger: Ledger, raised: Exception, state: str, attempts: int
) -> None:
    """A server that is away costs no attempt."""
    [job_id] = await ledger.add()

    async def count(_job: Leased) -> None:
        raise raised

    assert await ledger.runner(count).work([job_id]) == 1

    row = await ledger.row(job_id)
    assert (row.state, row.attempts) == (state, attempts)


async def test_the_last_attempt_that_fails_leaves_a_dead_letter(ledger: Ledger) -> None:
    """With the error of that attempt."""
    [job_id] = await ledger.add()

    async def count(_job: Leased) -> None:
        raise ValueError("a defect")

    for _attempt in range(COUNT.max_attempts):
        await ledger.make_due()
        await ledger.runner(count).work([job_id])

    operation = await ledger.operation(job_id)
    assert (operation.status, operation.error) == (
        "failed",
        {"code": "internal_error", "message": "ValueError: a defect"},
    )


async def test_one_job_of_a_message_that_fails_leaves_the_others_alone(ledger: Ledger) -> None:
    """They were leased together, and nothing else."""
    ids = await ledger.add(*[NewJob(kind=COUNT, args={"to": number}) for number in range(5)])

    async def count(job: Leased) -> None:
        if job.args["to"] == 2:
            raise ValueError("a defect")
        await ledger.count(job)

    await ledger.runner(count).work(ids)

    assert [(await ledger.operation(job_id)).status for job_id in ids] == ["done", "done", "queued", "done", "done"]


async def test_a_kind_of_another_release_waits_for_it(ledger: Ledger) -> None:
    """Without using an attempt."""
    unknown = JobKind(name="tenants.of_tomorrow", summary="?", queue="sums")
    [job_id] = await ledger.add(NewJob(kind=unknown, args={}))

    await ledger.runner(ledger.count).work([job_id])

    row = await ledger.row(job_id)
    assert (row.state, row.attempts) == ("needs_version", 0)
    assert (await ledger.operation(job_id)).status == "queued"


async def test_another_tenant_sees_nothing_of_it(ledger: Ledger) -> None:
    """Neither its state nor that it is there."""
    [job_id] = await ledger.add()

    with pytest.raises(OperationNotFound):
        await ledger.operation(job_id, ledger.other_tenant_id)
    with pytest.raises(OperationNotFound):
        await ledger.cancel(job_id, ledger.other_tenant_id)

    assert await ledger.ready() == [job_id]


async def test_jobs_of_a_tenant_that_is_switched_off_wait(ledger: Ledger) -> None:
    """Until it is switched on again."""
    [job_id] = await ledger.add()
    await ledger.switch(is_active=False)
    off = await ledger.ready()
    await ledger.switch(is_active=True)

    assert (off, await ledger.ready()) == ([], [job_id])


async def test_a_hint_at_a_job_of_a_tenant_that_was_switched_off_comes_to_nothing(ledger: Ledger) -> None:
    """It was sent before: whoever leases looks again, and the feeder forgets it."""
    [job_id] = await ledger.add()
    await ledger.switch(is_active=False)
    while_off = await ledger.grant([job_id]), await ledger.store.still_ready([job_id])
    await ledger.switch(is_active=True)

    assert while_off == ([], {job_id: False})
    assert [job.attempt for job in await ledger.grant([job_id])] == [1]


async def test_a_job_whose_tenant_is_switched_off_while_it_runs_waits_uncounted(ledger: Ledger) -> None:
    """However often that happens, it is no dead letter."""
    [job_id] = await ledger.add()

    async def refused(job: Leased) -> None:
        async with ledger.platform.platform.units.begin(ledger.platform.context(job.tenant_id)):
            pytest.fail("the tenant is switched off")

    async def switched_off(job: Leased) -> None:
        await ledger.switch(is_active=False)
        await refused(job)

    for _ in range(COUNT.max_attempts + 1):
        await ledger.work(ledger.runner(switched_off), [job_id])
        await ledger.switch(is_active=True)
        await ledger.make_due()

    row = await ledger.row(job_id)
    assert (row.state, row.attempts, row.error) == ("ready", 0, None)


async def test_what_waits_is_purged_in_batches(ledger: Ledger) -> None:
    """However many there are: all that waited at the beginning, nothing that somebody holds, each into history."""
    ids = await ledger.add(*[NewJob(kind=COUNT, args={"to": number}) for number in range(7)])
    [leased] = await ledger.grant(ids[3:4])
    [of_another] = await ledger.add(tenant_id=ledger.other_tenant_id)

    purged = await purge_waiting(ledger.platform.system_engine, Scope(tenant_id=ledger.tenant_id), batch=2)

    ended = [(await ledger.operation(job_id)).status for job_id in ids if job_id != leased.id]
    assert (purged, ended) == (6, ["cancelled"] * 6)
    assert (await ledger.ready(), (await ledger.operation(leased.id)).status) == ([of_another], "running")
