"""Every root field in the hands of another tenant: what is not its own is as what never was, and stays as it is."""

from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass
from typing import Any

import httpx2
import pytest
from graphql import get_named_type, is_required_argument, is_required_input_field

from rustok.testing import DatabaseServer
from tests.integration.api.graphql.roots import ROOTS, Root
from tests.integration.api.graphql.support import PATH
from tests.integration.api.possessions import MARK, Owner
from tests.integration.api.support import ApiUnderTest
from tests.integration.api.trespass import of_nobody

OF_SOMETHING = [root for root in ROOTS if any("_id" in name or name == "slug" for name in root.operation.input.example)]


@dataclass(frozen=True, slots=True)
class TwoTenants:
    """One that has something, and one that wants it."""

    first: Owner
    other: Owner


@pytest.fixture(scope="module")
async def api(database_server: DatabaseServer) -> AsyncIterator[ApiUnderTest]:
    async with ApiUnderTest.alone(database_server) as api:
        yield api


@pytest.fixture
async def tenants(api: ApiUnderTest) -> TwoTenants:
    return TwoTenants(await Owner.create(api), await Owner.create(api))


async def ask(owner: Owner, request: Mapping[str, Any]) -> httpx2.Response:
    return await owner.api.client.post(PATH, json=dict(request), headers=dict(owner.headers))


def told(answer: httpx2.Response) -> Any:
    """Return what a caller learns from *answer*, but for what names the request."""
    body = answer.json()
    for error in body.get("errors", ()):
        del error["extensions"]["request_id"]
    return answer.status_code, body


def test_every_field_with_an_id_is_in_the_matrix() -> None:
    """A required argument that names something says so by its name."""
    named = {
        root.name
        for root in ROOTS
        for name, argument in _required(root)
        if str(get_named_type(argument.type)) == "ID" or name == "slug"
    }

    assert named <= {root.name for root in OF_SOMETHING}


def _required(root: Root) -> list[tuple[str, Any]]:
    found: list[tuple[str, Any]] = [
        (name, each) for name, each in root.field.args.items() if is_required_argument(each)
    ]
    if "input" in root.field.args:
        input_type: Any = get_named_type(root.field.args["input"].type)
        found += [(name, each) for name, each in input_type.fields.items() if is_required_input_field(each)]
    return found


@pytest.mark.parametrize("root", OF_SOMETHING, ids=lambda root: root.name)
async def test_what_is_anothers_is_as_what_never_was(tenants: TwoTenants, root: Root) -> None:
    """The same answer, and no change; the tenant itself is answered without errors."""
    theirs = await tenants.first.possess()
    before = await tenants.first.what_there_is()

    anothers = await ask(tenants.other, root.request(theirs))
    nothing = await ask(tenants.other, root.request(of_nobody(theirs)))

    assert await tenants.first.what_there_is() == before
    assert told(anothers) == told(nothing)
    assert anothers.json()["errors"][0]["extensions"]["code"].endswith("not_found")
    assert MARK.lower() not in anothers.text.lower()
    own = await ask(tenants.first, root.request(theirs))
    assert "errors" not in own.json(), own.text


@pytest.mark.parametrize("root", [root for root in ROOTS if root.kind == "query"], ids=lambda root: root.name)
async def test_no_query_tells_of_another_tenant(tenants: TwoTenants, root: Root) -> None:
    """What it tells its own tenant it tells nobody else."""
    theirs = await tenants.first.possess()

    anothers = await ask(tenants.other, root.request(theirs))
    own = await ask(tenants.first, root.request(theirs))

    assert MARK.lower() not in anothers.text.lower()
    assert MARK in own.text


async def test_a_link_leads_to_nothing_of_another_tenant(tenants: TwoTenants) -> None:
    """Nor do ids that a list is asked for."""
    theirs = await tenants.first.possess()
    asked = {
        "query": """query ($ids: [ID!]) {
            products(ids: $ids) { edges { node { id } } } nodes(ids: $ids) { edges { node { id } } } }""",
        "variables": {"ids": [theirs.names["product_id"], theirs.names["node_id"]]},
    }

    anothers, own = [(await ask(owner, asked)).json()["data"] for owner in (tenants.other, tenants.first)]

    assert [len(found["edges"]) for found in anothers.values()] == [0, 0]
    assert [len(found["edges"]) for found in own.values()] == [1, 1]
