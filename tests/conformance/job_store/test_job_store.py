"""What every ledger of jobs promises: one holder a job, attempts that count, and an end together with the effects."""

import asyncio
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from uuid import UUID, uuid4

import pytest

from rustok.jobs import Leased, LeaseLost, NewJob
from rustok.jobs.shares import Standing
from tests.conformance.job_store.stores import StoreUnderTest
from tests.integration.jobs.ledger import COUNT

FAULT = {"code": "sum_too_large", "message": "It does not fit."}
LEASE_S = 60.0


class Refused(Exception):
    """The effects of a job cannot be committed."""


def a_job(priority: int = 0, due_at: datetime | None = None, dedup_key: str | None = None) -> NewJob:
    return NewJob(kind=COUNT, args={"to": 3}, priority=priority, due_at=due_at, dedup_key=dedup_key)


async def a_leased_job(under_test: StoreUnderTest) -> Leased:
    [job] = await under_test.store.grant(await under_test.add(a_job()), LEASE_S)
    return job


async def lost_to_another(under_test: StoreUnderTest) -> tuple[Leased, Leased]:
    """Return a job as the worker has it that was asleep for too long, and as the one has it that got it next."""
    sleeper = await a_leased_job(under_test)
    await under_test.lose_leases()
    await under_test.store.rescue()
    [other] = await under_test.store.grant([sleeper.id], LEASE_S)
    return sleeper, other


async def ready_ids(
    under_test: StoreUnderTest, queue: str = "sums", except_ids: Sequence[UUID] = (), limit: int = 10
) -> list[UUID]:
    return [job_id for job_id, _tenant in await under_test.store.ready(queue, except_ids, limit, limit)]


async def test_a_lease_tells_what_is_to_be_done(under_test: StoreUnderTest) -> None:
    """And which attempt it is, of how many."""
    job = await a_leased_job(under_test)

    assert (job.kind, job.args, job.attempt, job.max_attempts, job.is_cancelled) == (COUNT.name, {"to": 3}, 1, 2, False)


async def test_only_a_grant_counts_an_attempt(under_test: StoreUnderTest) -> None:
    """A hint that nobody took up costs nothing."""
    [job_id] = await under_test.add(a_job())
    await ready_ids(under_test)
    before = await under_test.fate(job_id)

    await under_test.store.grant([job_id], LEASE_S)

    assert (before, await under_test.fate(job_id)) == (("ready", 0), ("leased", 1))


async def test_a_job_has_one_holder(under_test: StoreUnderTest) -> None:
    """Whoever asks at the same time, or later, or for what there is not."""
    [job_id] = await under_test.add(a_job())

    granted = await asyncio.gather(*[under_test.store.grant([job_id, uuid4()], LEASE_S) for _ in range(3)])

    assert sorted(map(len, granted)) == [0, 0, 1]
    assert await ready_ids(under_test) == []


async def test_the_jobs_of_a_grant_share_a_token(under_test: StoreUnderTest) -> None:
    """So they are renewed and released together; another grant has another."""
    first = await under_test.store.grant(await under_test.add(a_job(), a_job()), LEASE_S)
    second = await a_leased_job(under_test)

    assert len({job.token for job in first}) == 1
    assert second.token != first[0].token


async def test_tenants_take_turns_and_the_most_urgent_goes_first(under_test: StoreUnderTest) -> None:
    """The limit cuts off the rest; another queue has nothing."""
    [first, second, urgent] = await under_test.add(a_job(), a_job(), a_job(priority=5))
    [other] = await under_test.add(a_job(), is_of_other_tenant=True)

    ready = await ready_ids(under_test, limit=3)

    assert (set(ready[:2]), ready[2:]) == ({urgent, other}, [first])
    assert await ready_ids(under_test, except_ids=[urgent, other, first]) == [second]
    assert await ready_ids(under_test, "others") == []


async def test_a_tenant_gets_so_many_turns_at_most(under_test: StoreUnderTest) -> None:
    """And each job comes with its tenant; who has what leased is known, too."""
    ids = await under_test.add(a_job(), a_job(), a_job())
    [other] = await under_test.add(a_job(), is_of_other_tenant=True)

    ready = await under_test.store.ready("sums", [], 10, 2)
    await under_test.store.grant(ids[:2], LEASE_S)
    standings = await under_test.store.standings("sums")

    assert {job_id for job_id, _ in ready} == {*ids[:2], other}
    assert dict(ready)[ids[0]] != dict(ready)[other]
    assert standings == {dict(ready)[ids[0]]: Standing(leased=2, weight=1.0)}


async def test_what_is_ready_can_be_leased_without_being_named(under_test: StoreUnderTest) -> None:
    """By a worker that gets no hints."""
    ids = await under_test.add(a_job(), a_job(), a_job())

    jobs = await under_test.store.grant_ready("sums", 2, LEASE_S)

    assert ({job.id for job in jobs}, {job.attempt for job in jobs}) == ({*ids[:2]}, {1})


async def test_a_job_waits_until_it_is_due(under_test: StoreUnderTest) -> None:
    """Whatever a message says."""
    [job_id] = await under_test.add(a_job(due_at=datetime.now(UTC) + timedelta(days=365)))

    assert await ready_ids(under_test) == []
    assert await under_test.store.still_ready([job_id]) == {}
    assert await under_test.store.grant([job_id], LEASE_S) == []


async def test_a_hint_holds_until_the_job_is_leased(under_test: StoreUnderTest) -> None:
    """Then the feeder forgets it."""
    [leased, waiting] = await under_test.add(a_job(), a_job())
    await under_test.store.grant([leased], LEASE_S)

    assert await under_test.store.still_ready([leased, waiting]) == {waiting: True}


async def test_a_holder_renews_its_lease_and_nobody_else_does(under_test: StoreUnderTest) -> None:
    """It is told which still hold."""
    sleeper, other = await lost_to_another(under_test)

    assert await under_test.store.renew([sleeper.id], sleeper.token, LEASE_S) == {}
    assert await under_test.store.renew([other.id], other.token, LEASE_S) == {other.id: False}


async def test_a_renewed_lease_does_not_run_out(under_test: StoreUnderTest) -> None:
    """It counts from the renewal."""
    job = await a_leased_job(under_test)
    await under_test.lose_leases()

    await under_test.store.renew([job.id], job.token, LEASE_S)

    assert await under_test.store.rescue() == []


async def test_a_renewal_tells_of_a_cancellation(under_test: StoreUnderTest) -> None:
    """The worker ends the job then."""
    job = await a_leased_job(under_test)
    await under_test.cancel(job.id)

    assert await under_test.store.renew([job.id], job.token, LEASE_S) == {job.id: True}

    await under_test.store.finish([(job, None)], "cancelled")
    assert await under_test.fate(job.id) == ("cancelled", 1)


async def test_a_released_job_was_never_leased(under_test: StoreUnderTest) -> None:
    """It is ready at once."""
    job = await a_leased_job(under_test)

    await under_test.store.release([job.id], job.token)

    assert await under_test.fate(job.id) == ("ready", 0)
    assert await ready_ids(under_test) == [job.id]


async def test_nobody_releases_what_is_somebody_elses(under_test: StoreUnderTest) -> None:
    """A worker that was asleep has nothing to give back."""
    sleeper, other = await lost_to_another(under_test)

    await under_test.store.release([sleeper.id], sleeper.token)

    assert await under_test.fate(other.id) == ("leased", 2)


async def test_nobody_ends_what_is_somebody_elses(under_test: StoreUnderTest) -> None:
    """In no way; the holder does."""
    sleeper, other = await lost_to_another(under_test)

    assert await under_test.store.finish([(sleeper, None)], "done") == set()
    with pytest.raises(LeaseLost):
        await under_test.store.fail(sleeper, FAULT, 0.0)
    with pytest.raises(LeaseLost):
        await under_test.store.hand_back(sleeper, 0.0)
    with pytest.raises(LeaseLost):
        async with under_test.ending(sleeper):
            pass

    assert await under_test.fate(other.id) == ("leased", 2)


async def test_a_lease_that_ran_out_holds_until_somebody_takes_the_job(under_test: StoreUnderTest) -> None:
    """Its worker was late, and nobody has noticed."""
    job = await a_leased_job(under_test)
    await under_test.lose_leases()

    await under_test.store.finish([(job, None)], "done")

    assert await under_test.fate(job.id) == ("done", 1)


@pytest.mark.parametrize(
    ("retry_in_s", "fate", "ready"), [(0.0, ("ready", 1), 1), (60.0, ("ready", 1), 0), (None, ("dead", 1), 0)]
)
async def test_a_failed_attempt_is_tried_again_or_a_dead_letter(
    under_test: StoreUnderTest, retry_in_s: float | None, fate: tuple[str, int], ready: int
) -> None:
    """The attempt counts."""
    job = await a_leased_job(under_test)

    await under_test.store.fail(job, FAULT, retry_in_s)

    assert await under_test.fate(job.id) == fate
    assert len(await ready_ids(under_test)) == ready


@pytest.mark.parametrize(("delay_s", "ready"), [(0.0, 1), (60.0, 0)])
async def test_a_job_handed_back_has_used_no_attempt(under_test: StoreUnderTest, delay_s: float, ready: int) -> None:
    """It comes again when the delay is over."""
    job = await a_leased_job(under_test)

    await under_test.store.hand_back(job, delay_s)

    assert await under_test.fate(job.id) == ("ready", 0)
    assert len(await ready_ids(under_test)) == ready


async def test_a_job_of_an_unknown_kind_waits_without_an_attempt(under_test: StoreUnderTest) -> None:
    """For a release that knows it: it is neither ready nor given up."""
    job = await a_leased_job(under_test)

    await under_test.store.park_unknown(job)

    assert await under_test.fate(job.id) == ("needs_version", 0)
    assert await ready_ids(under_test) == []


async def test_a_rescue_takes_what_has_run_out_and_nothing_else(under_test: StoreUnderTest) -> None:
    """Until its attempts are used up; then it is a dead letter."""
    lost = await a_leased_job(under_test)
    await under_test.lose_leases()
    held = await a_leased_job(under_test)

    [first] = await under_test.store.rescue()
    await under_test.store.grant([lost.id], LEASE_S)
    await under_test.store.renew([held.id], held.token, LEASE_S)
    await under_test.lose_leases()
    await under_test.store.renew([held.id], held.token, LEASE_S)
    [second] = await under_test.store.rescue()

    assert [(job.id, job.kind, job.state) for job in (first, second)] == [
        (lost.id, COUNT.name, "ready"),
        (lost.id, COUNT.name, "dead"),
    ]
    assert (await under_test.fate(lost.id), await under_test.fate(held.id)) == (("dead", 2), ("leased", 1))


@pytest.mark.parametrize(("within_s", "rescued"), [(0.5, 0), (60.0, 1), (None, 1)])
async def test_a_rescue_may_look_at_leases_of_a_while_alone(
    under_test: StoreUnderTest, within_s: float | None, rescued: int
) -> None:
    """Here one ran out a second ago."""
    await a_leased_job(under_test)
    await under_test.lose_leases()

    assert len(await under_test.store.rescue(within_s)) == rescued


async def test_a_rescue_ends_what_was_cancelled(under_test: StoreUnderTest) -> None:
    """Nobody is left who could be told of it."""
    job = await a_leased_job(under_test)
    await under_test.cancel(job.id)
    await under_test.lose_leases()

    [ended] = await under_test.store.rescue()

    assert (ended.id, ended.state) == (job.id, "cancelled")
    assert await under_test.fate(job.id) == ("cancelled", 1)


async def test_a_cancelled_job_that_waits_is_over(under_test: StoreUnderTest) -> None:
    """It never begins."""
    [job_id] = await under_test.add(a_job())

    await under_test.cancel(job_id)

    assert await under_test.fate(job_id) == ("cancelled", 0)
    assert await under_test.store.grant([job_id], LEASE_S) == []


async def test_a_job_ends_when_its_effects_are_committed(under_test: StoreUnderTest) -> None:
    """Not before, and not if they are not."""
    job = await a_leased_job(under_test)
    with pytest.raises(Refused):
        async with under_test.ending(job):
            raise Refused
    before = await under_test.fate(job.id)

    async with under_test.ending(job):
        during = await under_test.fate(job.id)

    assert (before, during, await under_test.fate(job.id)) == (("leased", 1), ("leased", 1), ("done", 1))


async def test_a_job_that_is_just_being_ended_is_not_taken_from_its_worker(under_test: StoreUnderTest) -> None:
    """Its lease has run out, but the row is held; nobody waits for it either."""
    job = await a_leased_job(under_test)
    await under_test.lose_leases()

    async with under_test.ending(job):
        rescued = await under_test.store.rescue()
        granted = await under_test.store.grant([job.id], LEASE_S)

    assert (rescued, granted, await under_test.fate(job.id)) == ([], [], ("done", 1))


async def test_a_renewal_waits_for_the_end_of_the_job(under_test: StoreUnderTest) -> None:
    """And finds that it is over."""
    job = await a_leased_job(under_test)

    async with under_test.ending(job):
        renewing = asyncio.create_task(under_test.store.renew([job.id], job.token, LEASE_S))
        await ready_ids(under_test)
        is_waiting = not renewing.done()

    assert (is_waiting, await renewing) == (True, {})


async def test_an_id_is_used_once(under_test: StoreUnderTest) -> None:
    """Also when its job has ended: who asks again gets nothing done twice."""
    job = a_job()
    await under_test.add(job)
    await under_test.add(job)
    [leased] = await under_test.store.grant([job.id], LEASE_S)
    await under_test.store.finish([(leased, None)], "done")

    await under_test.add(job)

    assert await ready_ids(under_test) == []


async def test_a_key_makes_one_job_at_a_time(under_test: StoreUnderTest) -> None:
    """Of a tenant, while it waits or runs."""
    [first] = await under_test.add(a_job(dedup_key="sum"))
    await under_test.add(a_job(dedup_key="sum"))
    [others] = await under_test.add(a_job(dedup_key="sum"), is_of_other_tenant=True)
    ready = set(await ready_ids(under_test))
    [leased] = await under_test.store.grant([first], LEASE_S)
    await under_test.store.finish([(leased, None)], "done")

    [again] = await under_test.add(a_job(dedup_key="sum"))

    assert ready == {first, others}
    assert set(await ready_ids(under_test)) == {others, again}
