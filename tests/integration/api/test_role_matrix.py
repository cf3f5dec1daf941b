"""Every route and root field for every built-in role, and for nobody: what was reviewed is declared, and answered."""

from collections.abc import AsyncIterator
from dataclasses import dataclass

import pytest

from rustok.modules.access.roles import BUILT_IN_ROLES
from rustok.testing import DatabaseServer
from tests.integration.api.graphql.roots import ROOTS, Root
from tests.integration.api.graphql.support import PATH
from tests.integration.api.possessions import OPERATIONS, Operation, Owner, Possessions, request_of
from tests.integration.api.role_matrix import COLUMNS, NOBODY, TABLE, may, table
from tests.integration.api.support import ApiUnderTest, bearer
from tests.integration.api.trespass import of_nobody


@dataclass(frozen=True, slots=True)
class Shop:
    """A tenant with a key of each role; `nothing` names what is not there, so that nobody changes anything."""

    owner: Owner
    nothing: Possessions
    credentials: dict[str, dict[str, str]]


@pytest.fixture(scope="module")
async def shop(database_server: DatabaseServer) -> AsyncIterator[Shop]:
    async with ApiUnderTest.alone(database_server) as api:
        owner = await Owner.create(api)
        nothing = of_nobody(await owner.possess())
        await owner.run("tenants.storefronts.open")
        credentials = {role: bearer(await api.new_key(role, owner.tenant_id)) for role in BUILT_IN_ROLES}
        credentials[NOBODY] = {"X-Tenant": str(owner.tenant_id)}
        del api.client.headers["Authorization"]
        yield Shop(owner, nothing, credentials)


def test_the_reviewed_table_is_what_is_declared() -> None:
    """After a change that is meant: write it anew, and look at what has changed."""
    assert TABLE.read_text() == table()


@pytest.mark.parametrize("operation", OPERATIONS, ids=lambda operation: operation.name)
async def test_a_route_answers_whom_it_should(shop: Shop, operation: Operation) -> None:
    """Who may not is told so, before anything is looked for; nobody is asked for a credential."""
    request = request_of(operation, shop.nothing)
    found, expected = {}, {}
    for column in COLUMNS:
        headers = {**request["headers"], **shop.credentials[column]}
        answer = await shop.owner.api.client.request(**request | {"headers": headers})
        code = answer.json().get("code") if answer.headers["content-type"] == "application/problem+json" else None
        found[column] = code if code in ("permission_denied", "unauthenticated") else "answered"
        refused = "unauthenticated" if column == NOBODY else "permission_denied"
        expected[column] = "answered" if may(column, operation) else refused

    assert found == expected


@pytest.mark.parametrize("root", ROOTS, ids=lambda root: root.name)
async def test_a_field_of_graphql_answers_whom_the_route_of_its_operation_does(shop: Shop, root: Root) -> None:
    """Who sends no credential is denied a field as well: another one of the document may be for visitors."""
    [operation] = [each for each in OPERATIONS if each.name == root.operation.name]
    found = {}
    for column in COLUMNS:
        headers = shop.credentials[column]
        answer = await shop.owner.api.client.post(PATH, json=root.request(shop.nothing), headers=headers)
        assert answer.status_code == 200, answer.text
        codes = {error["extensions"]["code"] for error in answer.json().get("errors", ())}
        assert codes.isdisjoint({"internal_error", "unavailable", "graphql_too_costly"})
        found[column] = "permission_denied" not in codes

    assert found == {column: may(column, operation) for column in COLUMNS}
