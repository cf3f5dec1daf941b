"""What operators watch is true, whatever else the ledger holds."""

from datetime import timedelta

import pytest
from sqlalchemy import text

from rustok.db.transaction import run_alone
from rustok.jobs import NewJob, fail
from rustok.jobs.figures import QueueFigures, read_queue_figures
from rustok.kernel.module import JobKind
from rustok.runtime import SystemClock
from tests.integration.jobs.ledger import COUNT, Ledger

LIST = JobKind(name="tenants.list", summary="List", queue="others")

_MANY_DEAD = text(
    """
    INSERT INTO jobs (tenant_id, id, queue, kind, args, priority, state, max_attempts, due_at, actor, correlation_id,
                      created_at)
    SELECT :tenant_id, gen_random_uuid(), 'others', 'tenants.list', '{}', 0, 'dead', 2, now(), 'operator:o',
           gen_random_uuid(), now()
      FROM generate_series(1, 100001)
    """
)


async def figures(ledger: Ledger) -> dict[str, QueueFigures]:
    return {queue.queue: queue for queue in await read_queue_figures(ledger.platform.system_engine)}


async def test_each_queue_is_counted_by_state(ledger: Ledger) -> None:
    """Its age is that of the job that has been due for the longest; what is due later has none."""
    in_an_hour = SystemClock().now() + timedelta(hours=1)
    [_, leased_id, dead_id] = await ledger.add(*[NewJob(kind=COUNT, args={}) for _ in range(3)])
    _, dead = await ledger.grant([leased_id, dead_id])
    await ledger.end(fail, dead, {"code": "of_no_use", "message": "?"}, None)
    await ledger.add(NewJob(kind=LIST, args={}, due_at=in_an_hour))

    told = await figures(ledger)

    sums, others = told["sums"], told["others"]
    assert (sums.ready, sums.leased, sums.dead, sums.oldest_age_s > 0) == (1, 1, 1, True)
    assert (others.ready, others.leased, others.dead, others.oldest_age_s) == (1, 0, 0, 0)


@pytest.mark.deep
async def test_a_queue_that_is_stuck_shows_beside_a_hundred_thousand_dead_letters(ledger: Ledger) -> None:
    """Those never expire, and nobody may ever look at them."""
    await run_alone(ledger.platform.system_engine, _MANY_DEAD, {"tenant_id": ledger.tenant_id})
    await ledger.add()

    told = await figures(ledger)

    assert (told["sums"].ready, told["sums"].oldest_age_s > 0, told["others"].dead) == (1, True, 100_000)
