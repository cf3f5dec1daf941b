"""Every route in the hands of another tenant: what is not its own is as what never was, and stays as it is."""

from collections.abc import AsyncIterator
from dataclasses import dataclass
from functools import partial
from typing import Any

import httpx2
import pytest
from starlette.routing import Route

from api.app import build_app
from api.batches import batch_commands, batch_path
from api.entrances import ENTRANCES
from api.graphql.route import PATH as GRAPHQL
from rustok.kernel.ids import uuid7
from rustok.kernel.registry import placeholders
from rustok.testing import Database, DatabaseServer, PlatformUnderTest
from tests.integration.api.possessions import MARK, OPERATIONS, REGISTRY, Operation, Owner, Possessions, request_of
from tests.integration.api.support import ApiUnderTest, assert_problem, settings_for
from tests.integration.api.trespass import gives_away, of_nobody, told

PUBLIC = {
    *(entrance.path for entrance in ENTRANCES),
    "/api/openapi.json",
    "/api/v1/events/types",
    "/api/v1/events/types/{schema}/schema",
    "/docs",
    "/docs/errors",
    "/health/live",
    "/health/ready",
    "/health/modules",
    "/metrics",
}
"""Routes that ask for no credential, and tell nothing of a tenant."""
OF_SOMETHING = [operation for operation in OPERATIONS if placeholders(operation.path)]
COMMANDS_ON_SOMETHING = [operation for operation in OF_SOMETHING if operation.name in REGISTRY.commands]
TELLS_NO_TEXT = {
    "access.me.get",
    "access.audit.list",
    "alloy.limits.get",
    "alloy.secrets.list",
    "outbox.events.list",
    "tenants.modules.list",
}
"""Reads whose answers hold nothing that the tenant has written."""
LISTS = [operation for operation in OPERATIONS if "after" in operation.input.model_fields]


@dataclass(frozen=True, slots=True)
class TwoTenants:
    """One that has something, and one that wants it."""

    first: Owner
    other: Owner


@pytest.fixture(scope="module")
async def api(database_server: DatabaseServer, platform_class: type[PlatformUnderTest]) -> AsyncIterator[ApiUnderTest]:
    async with ApiUnderTest.alone(database_server, platform_class=platform_class) as api:
        yield api


@pytest.fixture(scope="module")
async def untouched(api: ApiUnderTest) -> tuple[Owner, Possessions]:
    """A tenant that does nothing, and one of each of the two things that it has."""
    owner = await Owner.create(api)
    await owner.possess()
    return owner, await owner.possess()


@pytest.fixture
async def tenants(api: ApiUnderTest) -> TwoTenants:
    return TwoTenants(await Owner.create(api), await Owner.create(api))


def test_every_route_is_an_operation_or_public(database: Database) -> None:
    """A new one is in the tests below, or in the list of those that are for everybody."""
    app = build_app(settings_for(database))
    paths = {route.path for route in app.routes if isinstance(route, Route)}

    batches = {batch_path(module) for module in REGISTRY.modules if batch_commands(REGISTRY, module)}
    assert paths == PUBLIC | {GRAPHQL} | batches | {operation.path for operation in OPERATIONS}


@pytest.mark.parametrize("operation", OF_SOMETHING, ids=lambda operation: operation.name)
async def test_what_is_anothers_is_as_what_never_was(tenants: TwoTenants, operation: Operation) -> None:
    """The same answer, and no change; the tenant itself is answered 2xx."""
    theirs = await tenants.first.possess()

    assert await gives_away(tenants.first, tenants.other, operation, theirs) == []
    own = await tenants.first.send(operation, theirs)
    assert own.is_success, own.text


@pytest.mark.parametrize("mode", ["atomic", "independent"])
@pytest.mark.parametrize("operation", COMMANDS_ON_SOMETHING, ids=lambda operation: operation.name)
async def test_an_item_of_a_batch_is_no_way_around(tenants: TwoTenants, operation: Operation, mode: str) -> None:
    """To what is another's; the tenant itself gets its results."""
    theirs = await tenants.first.possess()
    nobodys = of_nobody(theirs)
    before = await tenants.first.what_there_is()

    anothers = await tenants.other.send_in_batch(operation, theirs, mode)
    nothing = await tenants.other.send_in_batch(operation, nobodys, mode)

    assert await tenants.first.what_there_is() == before
    assert _told_of_item(anothers) == _told_of_item(nothing)
    assert MARK not in anothers.text
    own = await tenants.first.send_in_batch(operation, theirs, mode)
    assert own.is_success, own.text
    assert own.json()["results"][0]["status"] < 300, own.text


@pytest.mark.under_fire
@pytest.mark.parametrize("operation", OPERATIONS, ids=lambda operation: operation.name)
async def test_no_route_tells_of_another_tenant(
    api: ApiUnderTest, untouched: tuple[Owner, Possessions], operation: Operation
) -> None:
    """Nor does one name it with a credential of its own, or go without one."""
    (first, theirs), other = untouched, await Owner.create(api)
    before = await first.what_there_is()

    answered = await other.send(operation, theirs)
    misnamed = await other.send(operation, theirs, {"X-Tenant": str(first.tenant_id)})
    nobody = await other.send(operation, theirs, {"Authorization": ""})

    assert MARK.lower() not in answered.text.lower()
    assert_problem(misnamed, 403, "tenant_mismatch")
    assert_problem(nobody, 401, "unauthenticated")
    assert await first.what_there_is() == before
    if operation.method == "GET" and operation.name not in TELLS_NO_TEXT:
        assert MARK in (await first.send(operation, theirs)).text


@pytest.mark.under_fire
@pytest.mark.parametrize("operation", LISTS, ids=lambda operation: operation.name)
async def test_a_cursor_is_of_no_use_to_another_tenant(
    api: ApiUnderTest, untouched: tuple[Owner, Possessions], operation: Operation
) -> None:
    """It is as one that somebody has made up."""
    (first, theirs), other = untouched, await Owner.create(api)
    get = partial(api.client.get, operation.path.format_map(theirs.names))
    wanted = {name: value for name, value in operation.input.example.items() if name == "locale"}
    page = await get(params={**wanted, "limit": 1}, headers=first.headers)
    cursor = page.json()["page"]["next"]

    assert cursor, "a list of one page has no cursor"
    used, invented = [
        await get(params={**wanted, "after": after}, headers=other.headers) for after in (cursor, "invented")
    ]

    assert told(used) == told(invented)
    assert MARK not in used.text


@pytest.mark.under_fire
@pytest.mark.parametrize("name", ["content.nodes.create", "content.nodes.update"])
async def test_nothing_is_put_below_anothers_node(tenants: TwoTenants, name: str) -> None:
    """Neither a new node nor one that moves; whether it exists is not told."""
    [operation] = [operation for operation in OPERATIONS if operation.name == name]
    theirs, own = (await tenants.first.possess()).names["node_id"], await tenants.other.possess()
    request = request_of(operation, own)
    headers = {**request["headers"], **tenants.other.headers}

    anothers, nothing = [
        await tenants.other.api.client.request(
            **request | {"json": {**request["json"], "parent_id": parent}, "headers": headers}
        )
        for parent in (theirs, str(uuid7()))
    ]

    assert anothers.status_code >= 400
    assert told(anothers) == told(nothing)


def _told_of_item(answer: httpx2.Response) -> Any:
    """Return what a caller learns of the one item of a batch."""
    if not answer.is_success:
        return told(answer)
    [result] = answer.json()["results"]
    problem = result.get("problem", {})
    return result["status"], problem.get("code"), problem.get("detail"), problem.get("errors")
