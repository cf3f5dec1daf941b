"""An operation over HTTP: how it is doing, its end as a stream, and how to stop it."""

import json
from datetime import timedelta
from typing import Any
from uuid import UUID

import pytest

from rustok.db.transaction import begin
from rustok.jobs import NewJob, enqueue, fail, finish
from rustok.jobs.store import PostgresJobStore
from rustok.kernel.module import JobKind
from rustok.testing import FixedClock, PlatformUnderTest
from tests.integration.api.support import UNKNOWN_ID, ApiUnderTest, bearer

OPERATIONS = "/api/v1/operations"
COUNT = JobKind(name="tenants.count", summary="Count")


async def an_operation(api: ApiUnderTest) -> UUID:
    """Commit a job and return its id."""
    job = NewJob(kind=COUNT, args={})
    async with api.rustok.platform.units.begin(api.rustok.context(api.tenant_id)) as uow:
        await enqueue(uow, [job])
    return job.id


async def end(api: ApiUnderTest, job_id: UUID, how: Any, *arguments: Any) -> None:
    [job] = await PostgresJobStore(api.rustok.system_engine).grant([job_id], 6.0)
    async with begin(api.rustok.system_engine, "BEGIN") as (transaction, _):
        await how(transaction, job, *arguments)


@pytest.mark.under_fire
async def test_an_operation_tells_how_it_is_doing(api: ApiUnderTest) -> None:
    """Before and after."""
    job_id = await an_operation(api)
    before = (await api.client.get(f"{OPERATIONS}/{job_id}")).json()
    await end(api, job_id, finish, {"counted": 3})
    after = (await api.client.get(f"{OPERATIONS}/{job_id}")).json()

    assert (before["status"], before["result"], before["finished_at"]) == ("queued", None, None)
    assert (after["status"], after["result"], after["kind"]) == ("done", {"counted": 3}, "tenants.count")


@pytest.mark.under_fire
async def test_a_stream_tells_of_each_change_up_to_the_end(api: ApiUnderTest) -> None:
    """A failed operation has ended, as far as the client can tell."""
    job_id = await an_operation(api)
    await end(api, job_id, fail, {"code": "sum_too_large", "message": "It does not fit."}, None)

    answer = await api.client.get(f"{OPERATIONS}/{job_id}/events")

    [event] = answer.text.strip().split("\n\n")
    name, data = event.split("\n")
    assert answer.headers["content-type"].startswith("text/event-stream")
    assert name == "event: failed"
    assert json.loads(data.removeprefix("data: "))["error"]["code"] == "sum_too_large"


@pytest.mark.timeout(30)
async def test_a_stream_ends_with_the_key(rustok: PlatformUnderTest) -> None:
    """Whose time comes while it is open."""
    clock = FixedClock()
    async with ApiUnderTest.open(rustok, clock=clock) as api:
        job_id = await an_operation(api)
        end = (clock.now() + timedelta(seconds=30)).isoformat()
        body = {"name": "a key", "role": "owner", "expires_at": end}
        key = (await api.client.post("/api/v1/access/api-keys", json=body)).json()["token"]

        answer = await api.client.get(f"{OPERATIONS}/{job_id}/events", headers=bearer(key))
        again = await api.client.get(f"{OPERATIONS}/{job_id}/events", headers=bearer(key))

    assert (answer.status_code, again.status_code) == (200, 401)
    assert answer.text.startswith("event: queued")


@pytest.mark.under_fire
async def test_an_operation_can_be_cancelled(api: ApiUnderTest) -> None:
    """And stays cancelled."""
    job_id = await an_operation(api)

    answers = [await api.client.delete(f"{OPERATIONS}/{job_id}") for _ in range(2)]

    assert [(answer.status_code, answer.json()["status"]) for answer in answers] == [(200, "cancelled")] * 2


@pytest.mark.under_fire
async def test_what_is_not_there_is_not_found(api: ApiUnderTest) -> None:
    """Whoever asks, and in whatever way; an operation of another tenant is not there either."""
    job_id = await an_operation(api)
    other = await api.new_key(tenant_id=await api.rustok.create_tenant("other"))
    stranger = {"Authorization": f"Bearer {other}"}

    answers = [
        await api.client.get(f"{OPERATIONS}/{UNKNOWN_ID}"),
        await api.client.get(f"{OPERATIONS}/{UNKNOWN_ID}/events"),
        await api.client.delete(f"{OPERATIONS}/{UNKNOWN_ID}"),
        await api.client.get(f"{OPERATIONS}/{job_id}", headers=stranger),
        await api.client.get(f"{OPERATIONS}/{job_id}/events", headers=stranger),
        await api.client.delete(f"{OPERATIONS}/{job_id}", headers=stranger),
    ]

    assert [(a.status_code, a.json()["code"]) for a in answers] == [(404, "operation_not_found")] * 6


@pytest.mark.under_fire
async def test_cancelling_takes_its_permission(api: ApiUnderTest) -> None:
    """An editor may look."""
    job_id = await an_operation(api)
    editor = {"Authorization": f"Bearer {await api.new_key('editor')}"}

    looked = await api.client.get(f"{OPERATIONS}/{job_id}", headers=editor)
    cancelled = await api.client.delete(f"{OPERATIONS}/{job_id}", headers=editor)

    assert (looked.status_code, cancelled.status_code) == (200, 403)


async def test_queues_are_in_the_metrics(api: ApiUnderTest) -> None:
    """Depth by state, and the age of what waits for the longest time."""
    await an_operation(api)

    lines = (await api.client.get("/metrics")).text.splitlines()

    assert 'rustok_queue_depth{queue="default",state="ready"} 1.0' in lines
    assert any(line.startswith('rustok_queue_oldest_age_seconds{queue="default"} ') for line in lines)
