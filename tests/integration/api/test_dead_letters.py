"""A tenant's dead letters over HTTP: groups, and operations on them."""

import pytest

from rustok.db.transaction import begin
from rustok.jobs import NewJob, enqueue, fail
from rustok.jobs.kinds import REDRIVE
from rustok.jobs.runner import JobRunner, RunnerConfig
from rustok.jobs.store import PostgresJobStore
from rustok.kernel.module import JobKind
from rustok.runtime import SystemClock
from tests.integration.api.possessions import Owner
from tests.integration.api.support import ApiUnderTest
from workers.dead_letters import Redriving

DEAD_LETTERS = "/api/v1/operations/dead-letters"
COUNT = JobKind(name="tenants.count", summary="Count")


async def a_dead_letter(api: ApiUnderTest) -> None:
    """Leave a job of the tenant dead."""
    job = NewJob(kind=COUNT, args={})
    async with api.rustok.platform.units.begin(api.rustok.context(api.tenant_id)) as uow:
        await enqueue(uow, [job])
    [leased] = await PostgresJobStore(api.rustok.system_engine).grant([job.id], 6.0)
    async with begin(api.rustok.system_engine, "BEGIN") as (transaction, _):
        await fail(transaction, leased, {"code": "sum_too_large", "message": "17 does not fit."}, None)


@pytest.mark.under_fire
async def test_dead_letters_are_seen_by_cause_and_redriven_by_an_operation(api: ApiUnderTest) -> None:
    """The fingerprint of a group says which are meant; the operation tells how many that were."""
    await a_dead_letter(api)
    runner = JobRunner(
        RunnerConfig(),
        PostgresJobStore(api.rustok.system_engine),
        {REDRIVE.name: Redriving(api.rustok.system_engine).__call__},
        SystemClock(),
    )

    [group] = (await api.client.get(DEAD_LETTERS)).json()["data"]
    accepted = await api.client.post(f"{DEAD_LETTERS}/redrive", json={"fingerprint": group["fingerprint"]})
    await runner.work_on_ready(REDRIVE.queue, 1)
    operation = (await api.client.get(accepted.headers["Location"])).json()

    assert (group["what"], group["state"], group["count"]) == ("tenants.count", "dead", 1)
    assert group["example"] == "sum_too_large: 17 does not fit."
    assert (accepted.status_code, operation["status"], operation["result"]) == (202, "done", {"count": 1})


@pytest.mark.under_fire
async def test_another_tenant_sees_none_of_them(api: ApiUnderTest) -> None:
    """Not even that there are any."""
    await a_dead_letter(api)
    other = await api.new_key(tenant_id=await api.rustok.create_tenant("other"))

    seen = await api.client.get(DEAD_LETTERS, headers={"Authorization": f"Bearer {other}"})

    assert (seen.status_code, seen.json()) == (200, {"data": []})


@pytest.mark.under_fire
async def test_redriving_and_discarding_take_their_permissions(api: ApiUnderTest) -> None:
    """An editor may look."""
    editor = {"Authorization": f"Bearer {await api.new_key('editor')}"}

    answers = [
        await api.client.get(DEAD_LETTERS, headers=editor),
        await api.client.post(f"{DEAD_LETTERS}/redrive", json={}, headers=editor),
        await api.client.post(f"{DEAD_LETTERS}/discard", json={}, headers=editor),
    ]

    assert [answer.status_code for answer in answers] == [200, 403, 403]


@pytest.mark.under_fire
async def test_a_choice_until_a_moment_without_a_zone_is_refused(api: ApiUnderTest) -> None:
    """When that is depends on who reads it."""
    answer = await api.client.post(f"{DEAD_LETTERS}/redrive", json={"until": "2026-11-27T03:00:00"})

    assert (answer.status_code, answer.json()["errors"][0]["pointer"]) == (422, "#/until")


async def test_what_waits_for_another_release_is_in_the_metrics(api: ApiUnderTest) -> None:
    """By what it is, and not among the dead letters."""
    job = NewJob(kind=COUNT, args={})
    async with api.rustok.platform.units.begin(api.rustok.context(api.tenant_id)) as uow:
        await enqueue(uow, [job])
    await JobRunner(RunnerConfig(), PostgresJobStore(api.rustok.system_engine), {}, SystemClock()).work([job.id])

    lines = (await api.client.get("/metrics")).text.splitlines()

    assert 'rustok_needs_version{what="tenants.count"} 1.0' in lines
    assert 'rustok_queue_depth{queue="default",state="dead"} 0.0' in lines


@pytest.mark.under_fire
async def test_a_run_that_was_discarded_says_so(api: ApiUnderTest) -> None:
    """As its operation does."""
    owner = await Owner.create(api)
    run_id = (await owner.possess()).names["run_id"]

    await api.client.post(f"{DEAD_LETTERS}/discard", json={}, headers=owner.headers)
    await owner.work()
    run = await api.client.get(f"/api/v1/alloy/runs/{run_id}", headers=owner.headers)

    assert (run.status_code, run.json()["status"]) == (200, "discarded")
