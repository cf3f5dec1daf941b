"""A tenant is switched off: refused everywhere from the next request on; nothing is lost, and all goes on later."""

import asyncio
from collections import Counter
from itertools import count, takewhile

import pytest

from rustok.modules.tenants import Erasure
from rustok.runtime import SystemClock
from rustok.testing import PlatformUnderTest
from tests.checksums import index_checksums, source_checksums
from tests.integration.api.possessions import OPERATIONS, Owner
from tests.integration.api.support import PRODUCTS, ApiUnderTest, a_product, assert_problem

_WRITERS = 8


@pytest.mark.under_fire
async def test_every_route_is_refused_from_the_next_request_on(api: ApiUnderTest) -> None:
    """Also batches, and to a process that knows the credential; another tenant is served."""
    owner, other = await Owner.create(api), await Owner.create(api)
    theirs, others = await owner.possess(), await other.possess()
    [create] = [operation for operation in OPERATIONS if operation.name == "commerce.products.create"]
    assert (await owner.send(create, theirs)).is_success

    await owner.run("tenants.tenants.disable")

    for operation in OPERATIONS:
        assert_problem(await owner.send(operation, theirs), 403, "tenant_disabled")
    assert_problem(await owner.send_in_batch(create, theirs, "independent"), 403, "tenant_disabled")
    assert (await other.send(create, others)).is_success


@pytest.mark.under_fire
async def test_a_tenant_that_is_switched_on_again_is_served(api: ApiUnderTest) -> None:
    """With the same credential, and with what it had."""
    product = await api.create()
    await api.rustok.run("tenants.tenants.disable", api.tenant_id)
    await api.rustok.run("tenants.tenants.enable", api.tenant_id)

    answer = await api.client.get(f"{PRODUCTS}/{product['id']}")

    assert (answer.status_code, answer.json()["id"]) == (200, product["id"])


@pytest.mark.under_fire
async def test_a_key_of_a_tenant_that_was_erased_is_nobodys(api: ApiUnderTest) -> None:
    """Also to a process that remembers whose it was."""
    assert (await api.client.get(PRODUCTS)).status_code == 200
    await api.rustok.run("tenants.tenants.disable", api.tenant_id)
    await Erasure(api.rustok.system_engine, SystemClock()).erase(api.tenant_id, "operator:somebody")

    assert_problem(await api.client.get(PRODUCTS), 401, "unauthenticated")
    assert_problem(await api.client.post(PRODUCTS, json=a_product()), 401, "unauthenticated")


@pytest.mark.under_fire
async def test_switching_twice_is_as_switching_once(rustok: PlatformUnderTest) -> None:
    """One event each time that something has changed, in the order of the tenant's versions."""
    tenant = await rustok.create_tenant()

    switched = [
        await rustok.run(f"tenants.tenants.{verb}", tenant)
        for verb in ("enable", "disable", "disable", "enable", "enable")
    ]

    assert [(found.is_active, found.version) for found in switched] == [
        (True, 1), (False, 2), (False, 2), (True, 3), (True, 3),
    ]  # fmt: skip
    told = [(event.envelope.type, event.envelope.aggregate_version) for event in await rustok.events()]
    assert told == [
        ("tenants.tenant.created", 1),
        ("tenants.tenant.disabled", 2),
        ("tenants.tenant.enabled", 3),
    ]


@pytest.mark.under_fire
async def test_nothing_is_lost_that_was_answered(api: ApiUnderTest) -> None:
    """Switched off and on in the middle of writes: each is done or refused, and the index has those that are done."""
    answers: Counter[int] = Counter()
    seen, is_over = asyncio.Event(), asyncio.Event()

    async def write(writer: int) -> None:
        for number in takewhile(lambda _: not is_over.is_set(), count()):
            texts = {"en": {"title": "Kettle", "handle": f"kettle-{writer}-{number}"}}
            answer = await api.client.post(PRODUCTS, json=a_product(status="active", translations=texts))
            assert answer.status_code in (201, 403), answer.text
            answers[answer.status_code] += 1
            seen.set()

    async def more(status: int) -> None:
        enough = answers[status] + _WRITERS
        while answers[status] < enough:
            seen.clear()
            await seen.wait()

    async def switch() -> None:
        await seen.wait()
        await api.rustok.run("tenants.tenants.disable", api.tenant_id)
        done = answers[201]
        await more(403)
        await api.rustok.settle()
        assert answers[201] <= done + _WRITERS  # those that were under way
        await api.rustok.run("tenants.tenants.enable", api.tenant_id)
        await more(201)
        is_over.set()

    async with asyncio.TaskGroup() as group:
        for writer in range(_WRITERS):
            group.create_task(write(writer))
        group.create_task(switch())
    await api.rustok.settle()

    truth = await source_checksums(api.rustok.system_engine)
    assert truth[api.tenant_id][0] == answers[201]
    assert await index_checksums(api.rustok.system_engine) == truth
