"""No more jobs run, or begin in a while, than a limit says; what it holds back waits as it is."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from datetime import timedelta
from itertools import chain
from uuid import UUID

import pytest
from sqlalchemy import text

from rustok.db.transaction import run_alone
from rustok.jobs import Leased, NewJob, hand_back, put_off
from rustok.jobs.limits import Rate, clear_limit, list_limits, set_limit
from rustok.jobs.pauses import Scope
from rustok.jobs.shares import Standing
from rustok.kernel.module import JobKind
from tests.integration.jobs.ledger import COUNT, Ledger
from tests.waiting import eventually_async

WEIGH = JobKind(name="tenants.weigh", summary="Weigh", queue="sums", max_attempts=2)
ELSEWHERE = JobKind(name="tenants.list", summary="List", queue="others")
SUMS = Scope(queue="sums")

_WAITS_A_WHILE = """
    SELECT count(*) > 0 FROM pg_stat_activity
     WHERE datname = current_database() AND wait_event_type = 'Lock'
       AND clock_timestamp() - query_start > interval '0.3 seconds'
"""
_SECONDS_PASS = text("UPDATE job_limits SET filled_at = filled_at - make_interval(secs => :seconds)")


@pytest.fixture
async def limits(ledger: Ledger) -> AsyncIterator["Limits"]:
    limits = Limits(ledger)
    yield limits
    for limit in await list_limits(limits.engine):
        await clear_limit(limits.engine, limit.scope)


class Limits:
    """The limits of a ledger, which are set and looked at."""

    def __init__(self, ledger: Ledger) -> None:
        self.ledger = ledger
        self.engine = ledger.platform.system_engine

    async def running(self, scope: Scope, most: int) -> None:
        await set_limit(self.engine, scope, set_by="operator:o", max_running=most)

    async def rate(self, scope: Scope, rate: Rate) -> None:
        await set_limit(self.engine, scope, set_by="operator:o", rate=rate)

    async def seconds_pass(self, seconds: float) -> None:
        """Let the buckets have been looked at so much earlier."""
        await run_alone(self.engine, _SECONDS_PASS, {"seconds": seconds})

    async def add(self, count: int, kind: JobKind = COUNT, tenant_id: UUID | None = None) -> list[UUID]:
        return await self.ledger.add(*[NewJob(kind=kind, args={"to": 3}) for _ in range(count)], tenant_id=tenant_id)

    async def begin(self, count: int, ids: Sequence[UUID]) -> Sequence[Leased]:
        """Lease *ids*, and check how many that came to."""
        granted = await self.ledger.grant(ids)
        assert len(granted) == count
        return granted


async def test_no_more_jobs_run_than_the_limit_says(ledger: Ledger, limits: Limits) -> None:
    """The next one begins when one of them has ended; no attempt is counted for what had to wait."""
    ids = await limits.add(4)
    await limits.running(SUMS, 2)

    first, _ = await limits.begin(2, ids)
    assert (await ledger.ready(), await ledger.store.still_ready(ids)) == ([], dict.fromkeys(ids[2:], False))
    await ledger.count(first)
    third = await limits.begin(1, ids)

    assert [job.attempt for job in third] == [1]


async def test_workers_that_lease_at_the_same_time_do_not_exceed_it_together(ledger: Ledger, limits: Limits) -> None:
    """Each counts what the one before it has leased."""
    ids = await limits.add(40)
    await limits.running(Scope(kind=COUNT.name), 3)

    shares = [ids[start : start + 5] for start in range(0, 40, 5)]
    leases = [ledger.grant(share) for share in shares] + [ledger.store.grant_ready("sums", 5, 6.0) for _ in shares]
    granted = list(chain(*await asyncio.gather(*leases)))

    assert len({job.id for job in granted}) == len(granted) == 3


async def test_whoever_looks_for_work_is_shown_what_there_is_room_for(ledger: Ledger, limits: Limits) -> None:
    """What was hinted at before takes room, too: hints that come to nothing would be sent over and over."""
    ids = await limits.add(5)
    await limits.running(SUMS, 2)

    shown = await ledger.ready()
    beside_one = await ledger.store.ready("sums", shown[:1], 100, 100)
    beside_both = await ledger.store.ready("sums", shown, 100, 100)

    assert (shown, [job_id for job_id, _ in beside_one], beside_both) == (ids[:2], ids[1:2], [])


async def test_a_limit_holds_nothing_but_its_own_scope(ledger: Ledger, limits: Limits) -> None:
    """A kind of one tenant: its other kind, and the other tenant, go on."""
    ours, weighed = await limits.add(2), await limits.add(2, WEIGH)
    theirs = await limits.add(2, tenant_id=ledger.other_tenant_id)
    await limits.running(Scope(kind=COUNT.name, tenant_id=ledger.tenant_id), 1)

    granted = await limits.begin(5, [*ours, *weighed, *theirs])

    assert {job.id for job in granted} == {ours[0], *weighed, *theirs}


async def test_what_one_limit_refuses_takes_no_room_of_another(ledger: Ledger, limits: Limits) -> None:
    """The tenant that has used up its own leaves the queue's to the others."""
    ours, theirs = await limits.add(3), await limits.add(3, tenant_id=ledger.other_tenant_id)
    await limits.running(SUMS, 3)
    await limits.running(Scope(tenant_id=ledger.tenant_id), 1)

    granted = await limits.begin(3, [*ours, *theirs])

    assert [job.tenant_id for job in granted].count(ledger.other_tenant_id) == 2


async def test_jobs_begin_at_the_rate_that_is_set(ledger: Ledger, limits: Limits) -> None:
    """As many as the burst at once, then as the bucket fills, on PostgreSQL's clock, also for jobs that have ended."""
    ids = await limits.add(10)
    await limits.rate(SUMS, Rate(starts=60, per_s=3600, burst=3))

    for job in await limits.begin(3, ids):
        await ledger.count(job)
    await limits.begin(0, ids)
    await limits.seconds_pass(121)
    await limits.begin(2, ids)
    await limits.seconds_pass(3600)

    await limits.begin(3, ids)


async def test_a_bucket_outlives_a_clock_that_is_set_back(limits: Limits) -> None:
    """What is in it may begin, and it fills from now on."""
    await limits.rate(SUMS, Rate(1, per_s=3600, burst=2))
    await limits.seconds_pass(-3600)

    ids = await limits.add(3)
    await limits.begin(2, ids)


async def test_a_lease_begins_when_the_limit_has_let_it(ledger: Ledger, limits: Limits) -> None:
    """Not when it was asked: whoever holds the limit may take his time, and the lease would be over by then."""
    [job_id] = await limits.add(1)
    await limits.running(SUMS, 1)
    async with ledger.admin() as admin, ledger.admin() as observer:
        async with admin.transaction():
            await admin.execute("SELECT FROM job_limits FOR UPDATE")
            granting = asyncio.create_task(ledger.store.grant([job_id], 6.0))
            await eventually_async(lambda: observer.fetchval(_WAITS_A_WHILE))
            let_go_at = await admin.fetchval("SELECT clock_timestamp()")
        await granting
        expires_at = await admin.fetchval("SELECT lease_expires_at FROM jobs WHERE id = $1", job_id)

    assert expires_at - let_go_at >= timedelta(seconds=6)


async def test_a_job_that_is_handed_back_begins_again(ledger: Ledger, limits: Limits) -> None:
    """Its attempt may have called whatever is protected."""
    [job_id] = await limits.add(1)
    await limits.rate(SUMS, Rate(starts=1, per_s=3600, burst=1))
    [job] = await limits.begin(1, [job_id])

    await ledger.end(hand_back, job, 0.0)

    await limits.begin(0, [job_id])


@pytest.mark.parametrize("scope", [SUMS, Scope(kind=COUNT.name)])
async def test_a_job_that_is_put_off_has_not_begun(ledger: Ledger, limits: Limits, scope: Scope) -> None:
    """While a server is spared, the calls that wait for it use up nobody's rate."""
    ids = await limits.add(2)
    await limits.rate(scope, Rate(starts=1, per_s=3600, burst=1))

    for _ in range(3):
        [job] = await limits.begin(1, ids[:1])
        await ledger.end(put_off, job, 0.0)
    [job] = await limits.begin(1, ids[:1])
    await ledger.store.park_unknown(job)

    await limits.begin(1, ids)


async def test_what_is_given_back_fills_no_bucket_above_its_burst(ledger: Ledger, limits: Limits) -> None:
    """However long the job was held."""
    ids = await limits.add(4)
    await limits.rate(SUMS, Rate(starts=1, per_s=3600, burst=2))
    first = await limits.begin(2, ids[:2])
    await limits.seconds_pass(7200)

    for job in first:
        await ledger.end(put_off, job, 60.0)

    await limits.begin(2, ids)


async def test_what_is_put_off_gives_a_start_back_to_its_own_limits_alone(ledger: Ledger, limits: Limits) -> None:
    """Those of another tenant stay used up, and a limit without a rate has none to give."""
    [ours], theirs = await limits.add(1), await limits.add(2, tenant_id=ledger.other_tenant_id)
    for tenant_id in (ledger.tenant_id, ledger.other_tenant_id):
        await limits.rate(Scope(tenant_id=tenant_id), Rate(starts=1, per_s=3600, burst=1))
    await limits.running(SUMS, 5)
    [job, _] = await limits.begin(2, [ours, theirs[0]])

    await ledger.end(put_off, job, 0.0)

    assert [again.id for again in await limits.begin(1, [ours, theirs[1]])] == [ours]


async def test_a_limit_that_is_changed_keeps_what_is_not_named(ledger: Ledger, limits: Limits) -> None:
    """And is told with how it stands."""
    tenant = Scope(tenant_id=ledger.tenant_id)
    ids = await limits.add(5)
    await limits.running(tenant, 3)
    await limits.rate(tenant, Rate(starts=10, per_s=60, burst=2))
    await limits.begin(2, ids)

    await set_limit(limits.engine, tenant, set_by="operator:p", weight=3)

    [limit] = await list_limits(limits.engine)
    assert (limit.scope, limit.max_running, limit.rate, limit.weight) == (tenant, 3, Rate(10, 60, 2), 3)
    assert (limit.room, limit.running, limit.waiting, limit.set_by) == (0, 2, 3, "operator:p")


async def test_a_limit_that_is_cleared_holds_nothing(ledger: Ledger, limits: Limits) -> None:
    """There is one less to clear."""
    ids = await limits.add(3)
    await limits.running(SUMS, 1)
    await limits.begin(1, ids)

    assert await clear_limit(limits.engine, SUMS)
    assert not await clear_limit(limits.engine, SUMS)

    assert set(await ledger.ready()) == set(ids[1:])
    await limits.begin(2, ids)


async def test_only_a_tenant_has_a_weight(limits: Limits) -> None:
    """Shares are of tenants."""
    with pytest.raises(Exception, match="job_limits_weight_of_tenant"):
        await set_limit(limits.engine, SUMS, set_by="operator:o", weight=2)


async def test_the_feeder_is_told_who_has_how_much_under_way_and_what_weight(ledger: Ledger, limits: Limits) -> None:
    """Of the queue it asks about; who has nothing under way and no weight is not named."""
    ours, elsewhere = await limits.add(3), await limits.add(1, ELSEWHERE)
    await limits.begin(3, [*ours[:2], *elsewhere])
    other = Scope(tenant_id=ledger.other_tenant_id)
    await set_limit(limits.engine, other, set_by="operator:o", weight=2.5)

    standings = await ledger.store.standings("sums")

    assert standings == {ledger.tenant_id: Standing(2, 1.0), ledger.other_tenant_id: Standing(0, 2.5)}
