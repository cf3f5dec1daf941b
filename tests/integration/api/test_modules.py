"""A tenant has the modules that it wants: one that is off is as if it were not there, for this tenant alone."""

import asyncio
from typing import Any

import pytest

from api.batches import batch_path
from rustok.testing import PlatformUnderTest
from tests.integration.api.possessions import OPERATIONS, REGISTRY, Operation, Owner
from tests.integration.api.support import PRODUCTS, ApiUnderTest, a_product, assert_problem, bearer

MODULES = "/api/v1/tenants/modules"
OPTIONAL = ["content", "blog", "commerce", "alloy"]


async def switch(api: ApiUnderTest, module: str, *, is_enabled: bool, **headers: str) -> Any:
    return await api.client.put(f"{MODULES}/{module}", json={"is_enabled": is_enabled}, headers=headers)


async def disable(api: ApiUnderTest, *modules: str) -> None:
    """Disable *modules*, and let this process hear of it, as it does with the next request that opens a transaction."""
    for module in modules:
        response = await switch(api, module, is_enabled=False)
        assert response.status_code == 200, response.text
    await api.client.get(MODULES)


def enabled(response: Any) -> list[str]:
    return [module["name"] for module in response.json()["data"] if module["is_enabled"]]


def needed_module(operation: Operation) -> str:
    """Return the module that must be on for *operation*."""
    declared = REGISTRY.commands.get(operation.name) or REGISTRY.queries.get(operation.name)
    return REGISTRY.needed_module(declared) if declared else "jobs"


@pytest.mark.under_fire
async def test_a_new_tenant_has_all_modules(shared_api: ApiUnderTest) -> None:
    """In the order of their dependencies, with what may be switched."""
    response = await shared_api.client.get(MODULES)

    assert sorted(enabled(response)) == sorted(module.name for module in REGISTRY.modules)
    may_be_disabled = [module["name"] for module in response.json()["data"] if module["may_be_disabled"]]
    assert sorted(may_be_disabled) == sorted(OPTIONAL)


@pytest.mark.under_fire
@pytest.mark.parametrize("module", OPTIONAL)
async def test_no_operation_of_a_module_that_is_off_is_there(api: ApiUnderTest, module: str) -> None:
    """Whatever is sent, before it is read; all others answer as before."""
    owner = await Owner.create(api)
    possessions = await owner.possess()
    api.client.headers |= owner.headers
    off = {"content", "blog"} if module == "content" else {module}
    await disable(api, *sorted(off))  # blog depends on content

    for operation in OPERATIONS:
        if operation.name == "tenants.modules.switch":
            continue
        is_off = needed_module(operation) in off
        response = await owner.send(operation, possessions)
        assert ('"module_off"' in response.text) is is_off, operation
        if is_off:
            assert_problem(response, 404, "module_off")
            garbage = await api.client.request(
                operation.method,
                operation.path.format_map(possessions.names),
                content=b"{" if operation.method in {"POST", "PUT", "PATCH"} else None,
                params={"no_such": "x"},
            )
            assert_problem(garbage, 404, "module_off")


@pytest.mark.under_fire
@pytest.mark.parametrize("module", OPTIONAL)
async def test_no_batch_of_a_module_that_is_off_is_taken(api: ApiUnderTest, module: str) -> None:
    """Nor does one of another module reach its commands: a batch has commands of one module."""
    await disable(api, *({"content": ["blog"]}.get(module, [])), module)

    response = await api.client.post(batch_path(REGISTRY.module_of(f"{module}.x.y")), content=b"nonsense")

    assert_problem(response, 404, "module_off")


@pytest.mark.under_fire
async def test_searching_what_a_module_that_is_off_publishes_finds_nothing_there(api: ApiUnderTest) -> None:
    """The index is its module's, although another serves it."""
    await disable(api, "commerce")

    assert_problem(await api.client.get("/api/v1/search/products"), 404, "module_off")
    assert (await api.client.get("/api/v1/search/content", params={"locale": "en"})).status_code == 200


@pytest.mark.under_fire
async def test_it_is_off_for_this_tenant_alone(api: ApiUnderTest) -> None:
    """The neighbour notices nothing."""
    neighbour = await Owner.create(api)
    await disable(api, "commerce")

    assert (await api.client.get(PRODUCTS, headers=neighbour.headers)).status_code == 200
    assert_problem(await api.client.get(PRODUCTS), 404, "module_off")


@pytest.mark.under_fire
async def test_all_is_there_again_when_it_is_on_again(api: ApiUnderTest) -> None:
    """At the next request, in every process."""
    product = await api.create()
    await disable(api, "commerce")
    assert_problem(await api.client.get(PRODUCTS), 404, "module_off")

    response = await switch(api, "commerce", is_enabled=True)

    assert "commerce" in enabled(response)
    assert (await api.client.get(f"{PRODUCTS}/{product['id']}")).json() == product


async def test_another_process_hears_of_it_at_the_next_request(api: ApiUnderTest, rustok: PlatformUnderTest) -> None:
    """Although it remembers the credential; both ways."""
    token = await api.new_key()
    assert (await api.client.get(PRODUCTS, headers=bearer(token))).status_code == 200

    await rustok.run("tenants.modules.switch", api.tenant_id, module="commerce", is_enabled=False)
    off = await api.client.get(PRODUCTS, headers=bearer(token))
    await rustok.run("tenants.modules.switch", api.tenant_id, module="commerce", is_enabled=True)
    on = await api.client.get(PRODUCTS, headers=bearer(token))

    assert_problem(off, 404, "module_off")
    assert on.status_code == 200


async def test_a_key_that_was_used_before_does_not_replay_an_answer(api: ApiUnderTest) -> None:
    """What was answered then is not told while the module is off."""
    key = {"Idempotency-Key": "once"}
    first = await api.client.post(PRODUCTS, json=a_product(), headers=key)
    await disable(api, "commerce")
    off = await api.client.post(PRODUCTS, json=a_product(), headers=key)
    await switch(api, "commerce", is_enabled=True)
    again = await api.client.post(PRODUCTS, json=a_product(), headers=key)

    assert_problem(off, 404, "module_off")
    assert (again.status_code, again.content) == (201, first.content)


async def test_switching_twice_is_switching_once(api: ApiUnderTest) -> None:
    """No second event, and the same version."""
    first = await switch(api, "blog", is_enabled=False)
    second = await switch(api, "blog", is_enabled=False)

    assert (second.status_code, second.content, second.headers["etag"]) == (200, first.content, first.headers["etag"])
    events = [e.envelope.type for e in await api.rustok.events() if e.envelope.type.startswith("tenants.module.")]
    assert events == ["tenants.module.disabled"]


async def test_switching_it_at_the_same_time_is_switching_it_once(api: ApiUnderTest) -> None:
    """Who waited for the other finds it done."""
    for is_enabled in (False, True):
        answers = await asyncio.gather(*(switch(api, "blog", is_enabled=is_enabled) for _ in range(6)))
        assert {(answer.status_code, answer.content) for answer in answers} == {(200, answers[0].content)}


@pytest.mark.under_fire
async def test_what_another_module_depends_on_stays(api: ApiUnderTest) -> None:
    """The refusal names the dependent; once that is off, it may go."""
    problem = assert_problem(await switch(api, "content", is_enabled=False), 409, "module_in_use")
    assert problem["detail"].startswith("blog depends on content")

    await disable(api, "blog", "content")


@pytest.mark.under_fire
async def test_a_module_wants_those_that_it_depends_on(api: ApiUnderTest) -> None:
    """The refusal names what is to be enabled first."""
    await disable(api, "blog", "content")

    problem = assert_problem(await switch(api, "blog", is_enabled=True), 409, "module_depends_on_others")
    assert problem["detail"] == "blog depends on content: enable that first."


@pytest.mark.under_fire
@pytest.mark.parametrize("module", ["tenants", "access", "outbox", "jobs", "index"])
async def test_what_the_platform_cannot_do_without_stays(shared_api: ApiUnderTest, module: str) -> None:
    """Who has switched off the access rules could not switch them on again."""
    assert_problem(await switch(shared_api, module, is_enabled=False), 409, "module_always_on")


@pytest.mark.under_fire
async def test_there_is_no_such_module(shared_api: ApiUnderTest) -> None:
    """A mistyped name changes nothing."""
    assert_problem(await switch(shared_api, "comerce", is_enabled=False), 404, "module_not_found")


async def test_if_match_is_the_version_of_the_tenant(api: ApiUnderTest) -> None:
    """Two who switch at a time: the second is told."""
    tag = (await api.client.get(MODULES)).headers["etag"]
    first = await switch(api, "blog", is_enabled=False, **{"If-Match": tag})
    second = await switch(api, "alloy", is_enabled=False, **{"If-Match": tag})

    assert first.status_code == 200
    assert_problem(second, 412, "version_mismatch")


@pytest.mark.under_fire
@pytest.mark.parametrize("role", ["admin", "manager", "editor", "customer"])
async def test_only_an_owner_switches(api: ApiUnderTest, role: str) -> None:
    """It decides what everybody else may do."""
    headers = bearer(await api.new_key(role))

    response = await api.client.put(f"{MODULES}/blog", json={"is_enabled": False}, headers=headers)

    assert_problem(response, 403, "permission_denied")


def test_there_are_operations_of_each_module_to_ask() -> None:
    """Else the tests above would pass for nothing."""
    assert {needed_module(operation) for operation in OPERATIONS} >= set(OPTIONAL)
