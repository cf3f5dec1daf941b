"""Whoever watches jobs is told of each beginning and end, once."""

from collections.abc import Sequence
from uuid import UUID

import pytest

from rustok.db.transaction import begin
from rustok.jobs import NewJob, fail, finish
from rustok.jobs.pauses import Scope
from rustok.jobs.tail import Change, ChangedJob, JobTail
from tests.integration.jobs.ledger import COUNT, Ledger


def told(changed: Sequence[ChangedJob]) -> list[tuple[UUID, Change, int]]:
    return [(job.id, job.state, job.attempts) for job in changed]


async def test_each_change_is_told_once(ledger: Ledger) -> None:
    """A second attempt is another beginning."""
    tail = JobTail(ledger.platform.system_engine, Scope(), None)
    [job_id] = await ledger.add()
    waits = await tail.look()

    [job] = await ledger.grant([job_id])
    begun = [await tail.look(), await tail.look()]
    await ledger.end(fail, job, {"code": "boom"}, 0.0)
    [job] = await ledger.grant([job_id])
    again = [await tail.look(), await tail.look()]
    await ledger.count(job)
    ended = [await tail.look(), await tail.look()]

    assert told(waits) == []
    assert [told(look) for look in begun] == [[(job_id, "running", 1)], []]
    assert [told(look) for look in again] == [[(job_id, "running", 2)], []]
    assert [told(look) for look in ended] == [[(job_id, "done", 2)], []]


async def test_what_ended_before_is_not_told(ledger: Ledger) -> None:
    """What runs is: it is what there is to wait for."""
    ended, dead, running = await ledger.add(*[NewJob(kind=COUNT, args={"to": 3}) for _ in range(3)])
    for job in await ledger.grant([ended]):
        await ledger.count(job)
    for job in await ledger.grant([dead]):
        await ledger.end(fail, job, {"code": "boom"}, None)
    await ledger.grant([running])
    tail = JobTail(ledger.platform.system_engine, Scope(), None)

    assert [told(await tail.look()), told(await tail.look())] == [[(running, "running", 1)], []]


async def test_an_end_that_is_committed_late_is_told(ledger: Ledger) -> None:
    """Its time is that at which its transaction began, which somebody looked after."""
    tail = JobTail(ledger.platform.system_engine, Scope(), None)
    [job] = await ledger.grant(await ledger.add())
    async with begin(ledger.platform.system_engine, "BEGIN") as (transaction, _):
        await finish(transaction, job)
        looks = [await tail.look(), await tail.look()]

    assert [told(look) for look in looks] == [[(job.id, "running", 1)], []]
    assert told(await tail.look()) == [(job.id, "done", 1)]


@pytest.mark.parametrize(
    ("scope", "state", "is_told"),
    [
        (Scope(queue="sums"), None, True),
        (Scope(queue="calls"), None, False),
        (Scope(kind="alloy.run"), None, False),
        (Scope(tenant_id=UUID(int=1)), None, False),
        (Scope(), "dead", True),
        (Scope(), "done", False),
    ],
)
async def test_only_what_was_asked_for_is_told(
    ledger: Ledger, scope: Scope, state: Change | None, is_told: bool
) -> None:
    """By queue, kind, tenant and what became of the job."""
    tail = JobTail(ledger.platform.system_engine, scope, state)
    await tail.look()
    [job] = await ledger.grant(await ledger.add())
    await ledger.end(fail, job, {"code": "boom"}, None)

    found = await tail.look()

    assert [(job.state, job.error) for job in found] == ([("dead", "boom")] if is_told else [])
