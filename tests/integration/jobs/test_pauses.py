"""What is paused waits as it is, and nothing else does."""

from collections.abc import AsyncIterator
from typing import Any
from uuid import UUID

import pytest

from rustok.jobs import NewJob
from rustok.jobs.pauses import Scope, list_pauses, pause, resume
from rustok.kernel.module import JobKind
from tests.integration.jobs.ledger import COUNT, Ledger

WEIGH = JobKind(name="tenants.weigh", summary="Weigh", queue="sums", max_attempts=2)


@pytest.fixture
async def jobs(ledger: Ledger) -> AsyncIterator[dict[str, UUID]]:
    """One job of each of two kinds for each of two tenants."""
    yield {
        f"{whose} {kind.summary}": (await ledger.add(NewJob(kind=kind, args={"to": 3}), tenant_id=tenant_id))[0]
        for whose, tenant_id in (("ours", ledger.tenant_id), ("theirs", ledger.other_tenant_id))
        for kind in (COUNT, WEIGH)
    }
    for kept in await list_pauses(ledger.platform.system_engine):
        scope = Scope(queue=kept.queue, kind=kept.kind, tenant_id=kept.tenant_id)
        await resume(ledger.platform.system_engine, scope)


SCOPES: list[tuple[Any, set[str]]] = [
    (lambda _: Scope(queue="sums"), set()),
    (lambda _: Scope(queue="another"), {"ours Count", "ours Weigh", "theirs Count", "theirs Weigh"}),
    (lambda _: Scope(kind=WEIGH.name), {"ours Count", "theirs Count"}),
    (lambda ledger: Scope(tenant_id=ledger.tenant_id), {"theirs Count", "theirs Weigh"}),
    (lambda ledger: Scope(kind=COUNT.name, tenant_id=ledger.tenant_id), {"ours Weigh", "theirs Count", "theirs Weigh"}),
    (lambda ledger: Scope(queue="sums", kind=WEIGH.name, tenant_id=ledger.tenant_id), {"ours Count", "theirs Count",
                                                                                       "theirs Weigh"}),
    (lambda ledger: Scope(queue="another", tenant_id=ledger.tenant_id), {"ours Count", "ours Weigh", "theirs Count",
                                                                         "theirs Weigh"}),
]  # fmt: skip


@pytest.mark.parametrize(("scope_of", "left"), SCOPES)
async def test_nobody_begins_what_is_paused(
    ledger: Ledger, jobs: dict[str, UUID], scope_of: Any, left: set[str]
) -> None:
    """Neither whoever looks for work, nor whoever was hinted at it before; and no hint of it is waited for."""
    await pause(ledger.platform.system_engine, scope_of(ledger), paused_by="operator:o")

    names = {job_id: name for name, job_id in jobs.items()}
    ready = {names[job_id] for job_id in await ledger.ready()}
    told = await ledger.store.still_ready(list(jobs.values()))
    still_ready = {names[job_id] for job_id, may_begin in told.items() if may_begin}
    granted = {names[job.id] for job in await ledger.grant(list(jobs.values()))}

    assert (ready, still_ready, granted, len(told)) == (left, left, left, len(jobs))


async def test_what_was_paused_goes_on_where_it_was(ledger: Ledger, jobs: dict[str, UUID]) -> None:
    """No attempt was counted, and it is as long overdue as it is."""
    engine, scope = ledger.platform.system_engine, Scope(queue="sums")
    before = await ledger.row(jobs["ours Count"])
    await pause(engine, scope, paused_by="operator:o")
    assert await ledger.ready() == []

    assert await resume(engine, scope)

    assert set(await ledger.ready()) == set(jobs.values())
    assert await ledger.row(jobs["ours Count"]) == before


async def test_a_job_that_is_under_way_goes_on(ledger: Ledger, jobs: dict[str, UUID]) -> None:
    """To stop it, cancel it."""
    [leased] = await ledger.grant([jobs["ours Count"]])
    await pause(ledger.platform.system_engine, Scope(queue="sums"), paused_by="operator:o")

    held = await ledger.store.renew([leased.id], leased.token, 6.0)
    await ledger.count(leased)

    assert held == {leased.id: False}
    assert (await ledger.operation(leased.id)).status == "done"


async def test_pauses_are_taken_back_one_by_one(ledger: Ledger, jobs: dict[str, UUID]) -> None:
    """What two of them hold is begun when both are gone."""
    engine = ledger.platform.system_engine
    ours, kind = Scope(tenant_id=ledger.tenant_id), Scope(kind=COUNT.name)
    for scope in (ours, kind):
        await pause(engine, scope, paused_by="operator:o")

    assert await resume(engine, kind)
    assert jobs["ours Count"] not in await ledger.ready()
    assert not await resume(engine, kind)
    assert await resume(engine, ours)
    assert jobs["ours Count"] in await ledger.ready()


async def test_pausing_twice_is_pausing_once(ledger: Ledger, jobs: dict[str, UUID]) -> None:  # noqa: ARG001
    """The latest reason counts."""
    engine, scope = ledger.platform.system_engine, Scope(queue="sums")
    for reason in ("a deploy", None, "the bank is away"):
        await pause(engine, scope, paused_by="operator:o", reason=reason)

    [kept] = await list_pauses(engine)

    assert (kept.queue, kept.kind, kept.tenant_id, kept.reason) == ("sums", None, None, "the bank is away")
    assert await resume(engine, scope)
    assert await list_pauses(engine) == []


async def test_a_pause_of_everything_is_refused(ledger: Ledger) -> None:
    """Stop the workers instead."""
    with pytest.raises(Exception, match="job_pauses_check"):
        await pause(ledger.platform.system_engine, Scope(), paused_by="operator:o")
