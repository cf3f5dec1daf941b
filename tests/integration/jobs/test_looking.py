"""Looking for ready jobs: what it passes over is gone for good, and nothing else is passed over.

Each look here tries to pass over more, where a real one does so four times a second.
"""

import json
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime, timedelta
from uuid import UUID

import asyncpg
import pytest

from rustok.jobs import Leased, NewJob
from rustok.jobs.newer_kinds import take_up_jobs
from rustok.jobs.pauses import Scope, pause, resume
from rustok.kernel.ids import uuid7
from tests.integration.jobs.ledger import COUNT, Ledger

_VIEW = """
    SELECT (server_started_at, begun_at, looked_at, since, lanes, next_since, next_since_writers,
            '-infinity')::job_view AS view
      FROM (SELECT ($1::text::job_view).*) AS known
"""
_LOOK = f"SELECT ids, seen::text FROM ({_VIEW}) AS v, look_for_jobs('sums', '{{}}', 100, 100, v.view)"
_INSERT = """
    INSERT INTO jobs (tenant_id, id, queue, kind, args, priority, state, max_attempts, due_at, actor, correlation_id,
                      created_at)
    SELECT $1, coalesce($2, gen_random_uuid()), 'sums', 'tenants.count', '{"to": 3}', n % 3, 'ready', 2, now(),
           'operator:o', gen_random_uuid(), now()
      FROM generate_series(1, $3) AS n
"""


class Looker:
    """Looks again and again, as a relay does."""

    def __init__(self, connection: asyncpg.Connection) -> None:
        self._connection = connection
        self.seen: str | None = None

    async def look(self) -> set[UUID]:
        row = await self._connection.fetchrow(_LOOK, self.seen)
        self.seen = row["seen"]
        return set(row["ids"])

    async def pass_over(self) -> None:
        """Let it pass over whatever it would pass over in the long run."""
        for _ in range(3):
            await self.look()

    async def blocks(self) -> int:
        """Return how many pages a look touches."""
        plan = await self._connection.fetchval(f"EXPLAIN (ANALYZE, BUFFERS, FORMAT JSON) {_LOOK}", self.seen)
        node = json.loads(plan)[0]["Plan"]
        return int(node["Shared Hit Blocks"] + node["Shared Read Blocks"])


async def insert(connection: asyncpg.Connection, tenant_id: UUID, count: int = 1, job_id: UUID | None = None) -> None:
    await connection.execute(_INSERT, tenant_id, job_id, count)


async def test_a_job_that_is_committed_late_is_found(ledger: Ledger) -> None:
    """Its writer is waited for, whatever was made and found since."""
    job_id = uuid7()
    async with ledger.admin() as slow, ledger.admin() as admin:
        looker = Looker(admin)
        await looker.look()
        await slow.execute("BEGIN")
        await insert(slow, ledger.tenant_id, job_id=job_id)
        await ledger.add()
        await looker.pass_over()
        await slow.execute("COMMIT")

        assert job_id in await looker.look()


async def test_a_job_of_a_transaction_that_began_long_ago_is_found(ledger: Ledger) -> None:
    """Though that is the time which the transaction takes for now."""
    job_id = uuid7()
    async with ledger.admin() as slow, ledger.admin() as admin:
        looker = Looker(admin)
        await slow.execute("BEGIN; SELECT now()")
        await looker.pass_over()
        await insert(slow, ledger.tenant_id, job_id=job_id)
        await slow.execute("COMMIT")

        assert await looker.look() == {job_id}


async def test_a_job_that_was_due_long_ago_is_found(ledger: Ledger) -> None:
    """Whoever asks for it may give any time: it is due from now."""
    async with ledger.admin() as admin:
        looker = Looker(admin)
        await looker.pass_over()
        [job_id] = await ledger.add(NewJob(kind=COUNT, args={}, due_at=datetime.now(UTC) - timedelta(days=1)))

        assert await looker.look() == {job_id}


async def released(ledger: Ledger, job: Leased) -> None:
    await ledger.store.release([job.id], job.token)


async def handed_back(ledger: Ledger, job: Leased) -> None:
    await ledger.store.hand_back(job, 0.0)


async def failed(ledger: Ledger, job: Leased) -> None:
    await ledger.store.fail(job, {"code": "boom"}, 0.0)


async def rescued(ledger: Ledger, _job: Leased) -> None:
    await ledger.lose_leases()
    await ledger.store.rescue()


async def parked_and_taken_up(ledger: Ledger, job: Leased) -> None:
    await ledger.store.park_unknown(job)
    await take_up_jobs(ledger.platform.system_engine, [job.kind], 10)


@pytest.mark.parametrize("comes_back", [released, handed_back, failed, rescued, parked_and_taken_up])
async def test_a_job_that_is_ready_again_is_found(
    ledger: Ledger, comes_back: Callable[[Ledger, Leased], Awaitable[None]]
) -> None:
    """However it came back, and whatever was passed over while it was leased."""
    [job] = await ledger.grant(await ledger.add())
    async with ledger.admin() as admin:
        looker = Looker(admin)
        await looker.pass_over()
        await comes_back(ledger, job)

        assert await looker.look() == {job.id}


async def test_what_waits_is_found_for_as_long_as_it_waits(ledger: Ledger) -> None:
    """Paused jobs begin when they are resumed, though others have come and gone."""
    engine, scope = ledger.platform.system_engine, Scope(tenant_id=ledger.tenant_id)
    [paused] = await ledger.add()
    await pause(engine, scope, paused_by="operator:o")
    async with ledger.admin() as admin:
        looker = Looker(admin)
        await looker.pass_over()
        [other] = await ledger.add(tenant_id=ledger.other_tenant_id)
        while_paused = await looker.look()
        await looker.pass_over()
        await resume(engine, scope)

        assert (while_paused, await looker.look()) == ({other}, {paused, other})


async def test_every_tenant_and_priority_is_found_in_a_flood(ledger: Ledger) -> None:
    """Also when so much is new that it is not read one by one."""
    async with ledger.admin() as admin:
        looker = Looker(admin)
        await looker.pass_over()
        await insert(admin, ledger.tenant_id, 2000)
        [urgent] = await ledger.add(NewJob(kind=COUNT, args={}, priority=5))
        [other] = await ledger.add(tenant_id=ledger.other_tenant_id)

        assert {urgent, other} < await looker.look()


@pytest.mark.parametrize(
    "happened",
    [
        pytest.param("looked_at = now() + interval '1 hour'", id="the clock was set back"),
        pytest.param("server_started_at = now() + interval '1 minute'", id="the server was restored, or is another"),
        pytest.param("begun_at = now() - interval '11 minutes'", id="it was long ago"),
    ],
)
async def test_nothing_is_passed_over_when_the_past_has_changed(ledger: Ledger, happened: str) -> None:
    """Jobs in it may be ready again, or are only being made."""
    [job_id] = await ledger.add()
    async with ledger.admin() as admin:
        looker = Looker(admin)
        await looker.look()
        await admin.execute("CREATE TEMPORARY TABLE views OF job_view")
        await admin.execute("INSERT INTO views SELECT ($1::text::job_view).*", looker.seen)
        await admin.execute(f"UPDATE views SET since = now() + interval '1 hour', {happened}")
        looker.seen = await admin.fetchval("SELECT views::text FROM views")

        assert await looker.look() == {job_id}


async def test_older_releases_find_the_same(ledger: Ledger) -> None:
    """They ask in their own way while both run."""
    ids = await ledger.add(*[NewJob(kind=COUNT, args={}, priority=priority) for priority in (1, 5, 3)])
    others = await ledger.add(tenant_id=ledger.other_tenant_id)
    async with ledger.admin() as admin:
        ready = [row[0] for row in await admin.fetch("SELECT ready_jobs('sums', '{}', 3)")]

    assert (set(ready[:2]), ready[2]) == ({ids[1], *others}, ids[2])


async def test_a_look_stays_short_while_an_old_snapshot_is_pinned(ledger: Ledger) -> None:
    """Entries of jobs that have gone cannot be cleaned up then: a look that knows nothing goes through all."""
    async with ledger.admin() as old, ledger.admin() as admin:
        looker = Looker(admin)
        waiting = await ledger.add(tenant_id=ledger.other_tenant_id)
        await looker.pass_over()
        await old.execute("BEGIN ISOLATION LEVEL REPEATABLE READ; SELECT count(*) FROM jobs")
        await insert(admin, ledger.tenant_id, 5_000)
        await admin.execute(
            "UPDATE jobs SET state = 'leased', lease_token = gen_random_uuid(), lease_expires_at = now() "
            "WHERE tenant_id = $1",
            ledger.tenant_id,
        )
        await admin.execute("DELETE FROM jobs WHERE tenant_id = $1", ledger.tenant_id)
        await looker.pass_over()

        found, blocks = await looker.look(), await looker.blocks()
        blocks_of_a_new_one = await Looker(admin).blocks()

    assert found == {*waiting}
    assert blocks * 5 < blocks_of_a_new_one
