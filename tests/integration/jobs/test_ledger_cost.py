"""What concerns a few jobs costs the same among many, also where PostgreSQL believes that there are none.

The table is full one minute and empty the next: what its statistics say is nearly always wrong.
"""

from collections.abc import Awaitable, Callable

from sqlalchemy import text

from rustok.db.transaction import run_alone
from rustok.jobs import Leased, NewJob
from rustok.jobs.limits import clear_limit, set_limit
from rustok.jobs.pauses import Scope, pause, resume
from tests.integration.jobs.ledger import COUNT, Ledger
from tests.waiting import eventually_async

_MANY = text(
    """
    INSERT INTO jobs (tenant_id, id, queue, kind, args, priority, state, max_attempts, due_at, actor, correlation_id,
                      created_at)
    SELECT :tenant_id, gen_random_uuid(), 'sums', 'tenants.count', '{"to": 3}', 0, 'ready', 2, now(), 'operator:o',
           gen_random_uuid(), now()
      FROM generate_series(1, 20000)
    """
)
_MANY_TENANTS = text(
    """
    WITH new_tenants AS (
        INSERT INTO tenants (id, slug, name, default_locale, default_currency, version, created_at, updated_at)
        SELECT gen_random_uuid(), 'many-' || n, 'Many', 'en', 'EUR', 1, now(), now() FROM generate_series(1, 2000) AS n
        RETURNING id
    )
    INSERT INTO jobs (tenant_id, id, queue, kind, args, priority, state, max_attempts, due_at, actor, correlation_id,
                      created_at)
    SELECT id, gen_random_uuid(), 'sums', 'tenants.count', '{"to": 3}', 0, 'ready', 2, now(), 'operator:o',
           gen_random_uuid(), now()
      FROM new_tenants, generate_series(1, 5)
     WHERE id < '20000000-0000-0000-0000-000000000000'
    """
)
_TENANTS = text("SELECT count(DISTINCT tenant_id) FROM jobs WHERE state = 'ready'")
_TENANT_BLOCKS = text(
    """
    SELECT heap_blks_hit + heap_blks_read + idx_blks_hit + idx_blks_read
      FROM pg_statio_user_tables WHERE relname = 'tenants'
    """
)
_ANALYZE = "ANALYZE jobs"
_FORGET = text(
    """
    SELECT pg_stat_reset_single_table_counters(relid) FROM pg_statio_user_tables WHERE relname IN ('jobs', 'tenants')
     UNION ALL
    SELECT pg_stat_reset_single_table_counters(indexrelid)
      FROM pg_statio_user_indexes WHERE relname IN ('jobs', 'tenants')
    """
)
_FLUSH = text("SELECT pg_stat_force_next_flush()")
_BLOCKS = text(
    """
    SELECT (SELECT heap_blks_hit + heap_blks_read FROM pg_statio_user_tables WHERE relname = 'jobs')
           + (SELECT sum(idx_blks_hit + idx_blks_read) FROM pg_statio_user_indexes WHERE relname = 'jobs')
    """
)
_MANY_LIMITS = text(
    """
    INSERT INTO job_limits (kind, max_running, set_by) SELECT 'tenants.' || n, 1, 'o' FROM generate_series(1, 300) AS n
    """
)
_LIFT_LIMITS = text("DELETE FROM job_limits")
_FEW = 8
_MOST_BLOCKS = 60 * _FEW
"""All jobs have some 600 blocks, and their indexes as many."""


async def test_what_concerns_a_few_jobs_costs_the_same_among_many(ledger: Ledger) -> None:
    """Grants, renewals, ends and the feeder's question: without it, each run of a backlog reads the whole backlog."""
    [ended] = await ledger.grant(await ledger.add())
    await ledger.count(ended)
    async with ledger.admin() as admin:
        await admin.execute(_ANALYZE)
    await run_alone(ledger.platform.system_engine, _MANY, {"tenant_id": ledger.tenant_id})
    ids = await ledger.ready(_FEW)
    jobs: list[Leased] = []

    async def grant() -> None:
        jobs.extend(await ledger.grant(ids))

    async def finish() -> None:
        for job in jobs:
            await ledger.count(job)

    costs = {
        "ready": await _blocks(ledger, lambda: ledger.ready(_FEW)),
        "still ready": await _blocks(ledger, lambda: ledger.store.still_ready(ids)),
        "grant": await _blocks(ledger, grant),
        "renew": await _blocks(ledger, lambda: ledger.store.renew(ids, jobs[0].token, 6.0)),
        "rescue": await _blocks(ledger, ledger.store.rescue),
        "finish": await _blocks(ledger, finish),
        "grant ready": await _blocks(ledger, lambda: ledger.store.grant_ready("sums", _FEW, 6.0)),
    }

    assert {name: blocks for name, blocks in costs.items() if blocks > _MOST_BLOCKS} == {}


async def test_what_is_paused_costs_those_who_look_for_work_nothing(ledger: Ledger) -> None:
    """However much of it waits: a tenant that floods is paused, and the others are served as if it were not there."""
    engine, flood = ledger.platform.system_engine, Scope(tenant_id=ledger.tenant_id)
    await run_alone(engine, _MANY, {"tenant_id": ledger.tenant_id})
    theirs = await ledger.add(tenant_id=ledger.other_tenant_id)
    await pause(engine, flood, paused_by="operator:o")

    # The lower of two: other sessions may tell late what they have looked at before.
    blocks = min([await _blocks(ledger, lambda: ledger.ready(_FEW)) for _ in range(2)])
    ready = await ledger.ready(_FEW)
    await resume(engine, flood)

    assert ready == theirs
    assert blocks <= _MOST_BLOCKS


async def test_what_a_limit_holds_costs_those_who_look_for_work_nothing(ledger: Ledger) -> None:
    """As what is paused; and leasing within a limit that has room costs the same beside many jobs."""
    engine, flood = ledger.platform.system_engine, Scope(tenant_id=ledger.tenant_id)
    await run_alone(engine, _MANY, {"tenant_id": ledger.tenant_id})
    theirs = await ledger.add(tenant_id=ledger.other_tenant_id)

    async def is_ready_found_cheaply() -> bool:
        """The first looks of a store go through what is new to it; those that follow do not."""
        return await _blocks(ledger, lambda: ledger.ready(_FEW)) <= _MOST_BLOCKS

    await set_limit(engine, flood, set_by="operator:o", max_running=1)
    ids = await ledger.ready(_FEW)

    costs = {
        "grant": await _blocks(ledger, lambda: ledger.grant(ids)),
        "standings": await _blocks(ledger, lambda: ledger.store.standings("sums")),
    }
    await eventually_async(is_ready_found_cheaply)
    ready = await ledger.ready(_FEW)
    await clear_limit(engine, flood)

    assert (set(ids) > set(theirs), ready) == (True, [])
    assert {name: blocks for name, blocks in costs.items() if blocks > _MOST_BLOCKS} == {}


async def test_limits_of_others_cost_a_lease_nothing(ledger: Ledger) -> None:
    """However many there are: a limit for each tenant is a row for each."""
    engine = ledger.platform.system_engine
    await run_alone(engine, _MANY_LIMITS)
    await set_limit(engine, Scope(tenant_id=ledger.tenant_id), set_by="operator:o", max_running=_FEW)
    ids = await ledger.add(*[NewJob(kind=COUNT, args={"to": 3}) for _ in range(_FEW)])

    blocks = await _blocks(ledger, lambda: ledger.grant(ids))
    leased = [(await ledger.row(job_id)).state for job_id in ids]
    await run_alone(engine, _LIFT_LIMITS)

    assert leased == ["leased"] * _FEW
    assert blocks <= _MOST_BLOCKS


async def test_what_is_ready_is_found_among_many_tenants(ledger: Ledger) -> None:
    """Each that has something costs the same few blocks, and the others nothing."""
    async with ledger.admin() as admin:
        await admin.execute(str(_MANY_TENANTS))
        await admin.execute("ANALYZE tenants")
        await admin.execute(str(_FLUSH))
    with_jobs = (await run_alone(ledger.platform.system_engine, _TENANTS)).scalar_one()

    blocks = await _blocks(ledger, lambda: ledger.ready(_FEW))
    async with ledger.admin() as admin:
        of_tenants = await admin.fetchval(str(_TENANT_BLOCKS))

    assert (with_jobs > 100, blocks < 60 * with_jobs, of_tenants < 10 * with_jobs) == (True, True, True)


async def _blocks(ledger: Ledger, work: Callable[[], Awaitable[object]]) -> int:
    """Return how many blocks of the jobs PostgreSQL looks at for *work*."""
    async with ledger.admin() as admin:
        await _flush(ledger)
        await admin.execute(str(_FORGET))
        await work()
        await _flush(ledger)
        return int(await admin.fetchval(str(_BLOCKS)))


async def _flush(ledger: Ledger) -> None:
    """Have the session that works on the ledger tell what it has looked at."""
    for statement in (_FLUSH, text("SELECT 1")):
        await run_alone(ledger.platform.system_engine, statement)
