"""A batch that changes the access rules, also those of who sends it: each item is answered as by its own route."""

import asyncio
from typing import Any

import httpx2
import pytest

from tests.integration.api.support import ApiUnderTest, assert_problem, bearer

BATCH, ROLES, KEYS = "/api/v1/access:batch", "/api/v1/access/roles", "/api/v1/access/api-keys"


def an_item(command: str, version: int | None = None, **fields: Any) -> dict[str, Any]:
    return {"command": f"access.{command}", "input": fields, "version": version}


def a_role(name: str) -> dict[str, Any]:
    return an_item("roles.create", name=name)


REFUSED = a_role("owner")
A_KEY = an_item("api_keys.create", name="another", role="owner")


async def send(api: ApiUnderTest, items: list[Any], mode: str = "independent", **headers: str) -> httpx2.Response:
    return await api.client.post(BATCH, json={"mode": mode, "items": items}, headers=headers)


def statuses(answer: httpx2.Response) -> list[int]:
    assert answer.status_code == 200, answer.text
    return [result["status"] for result in answer.json()["results"]]


async def a_key(api: ApiUnderTest, role: str = "owner") -> tuple[str, dict[str, str]]:
    """Return the id of a key and what a request with it has, which this process remembers."""
    token = await api.new_key(role)
    headers = bearer(token)
    assert (await api.client.get(ROLES, headers=headers)).status_code == 200
    return token.split("_")[2], headers


async def names_of_keys(api: ApiUnderTest) -> set[str]:
    return {key["name"] for key in (await api.client.get(KEYS)).json()["data"]}


async def test_good_items_are_done_behind_one_that_was_refused(api: ApiUnderTest) -> None:
    """Each makes the rights stale with which the batch began."""
    answer = await send(api, [REFUSED, a_role("first"), a_role("second"), a_role("third")])

    assert statuses(answer) == [409, 201, 201, 201]


async def test_more_roles_are_made_than_share_a_transaction(api: ApiUnderTest) -> None:
    """With a key, a repeated batch makes none of them again."""
    items = [a_role(f"role-{number}") for number in range(150)]

    first = await send(api, items, **{"Idempotency-Key": "roles"})
    again = await send(api, items, **{"Idempotency-Key": "roles"})

    assert statuses(first) == [201] * 150
    assert [{**result, "replayed": True} for result in first.json()["results"]] == again.json()["results"]


async def test_batches_that_change_rules_at_once_are_all_done(api: ApiUnderTest) -> None:
    """Each is overtaken by the others, again and again."""
    answers = await asyncio.gather(
        *(send(api, [a_role(f"role-{batch}-{number}") for number in range(20)]) for batch in range(6))
    )

    assert [statuses(answer) for answer in answers] == [[201] * 20] * 6


BAD = an_item("roles.create", name="No name of a role")


@pytest.mark.parametrize("before", [[], [REFUSED], [a_role(f"role-{number}") for number in range(120)]])
async def test_a_key_that_has_revoked_itself_does_nothing_more(api: ApiUnderTest, before: list[Any]) -> None:
    """Whatever stands before: an answer does not depend on which items have shared a transaction."""
    key_id, headers = await a_key(api)

    items = [*before, an_item("api_keys.revoke", key_id=key_id), BAD, A_KEY, REFUSED, BAD]
    answer = await send(api, items, **headers)

    assert statuses(answer)[len(before) :] == [200, 401, 401, 401, 401]
    assert answer.json()["results"][-1]["problem"]["code"] == "unauthenticated"
    assert "another" not in await names_of_keys(api)


async def test_an_atomic_batch_has_the_rights_that_it_began_with(api: ApiUnderTest) -> None:
    """What it does behind the end of its key it could have done before."""
    key_id, headers = await a_key(api)
    items = [an_item("api_keys.revoke", key_id=key_id), A_KEY]

    answer = await send(api, items, "atomic", **headers)
    again = await send(api, items, "atomic", **headers)

    assert statuses(answer) == [200, 201]
    assert_problem(again, 401, "unauthenticated")


A_USER = an_item("users.create", email="ada@example.com", name="Ada")
FEWER = ["access.roles.*"]
"""What a clerk may do who makes no users any more."""


async def a_clerk(api: ApiUnderTest) -> tuple[int, dict[str, str]]:
    """Return the version of the role, and what a request of its holder has."""
    role = await api.client.post(ROLES, json={"name": "clerk", "grants": [*FEWER, "access.users.write"]})
    _, headers = await a_key(api, "clerk")
    return role.json()["version"], headers


async def test_who_has_lost_a_permission_by_an_item_goes_on_with_the_others(api: ApiUnderTest) -> None:
    """What needs it is refused, though the batch had begun with it."""
    version, headers = await a_clerk(api)
    less = an_item("roles.update", version, role="clerk", grants=FEWER)

    answer = await send(api, [less, A_USER, a_role("last")], **headers)

    assert statuses(answer) == [200, 403, 201]


async def test_who_had_lost_a_permission_before_is_refused_the_whole_batch(api: ApiUnderTest) -> None:
    """Also where this process remembers it, and the item that needs it stands far behind."""
    version, headers = await a_clerk(api)
    await api.rustok.run("access.roles.update", api.tenant_id, seen=version, role="clerk", grants=FEWER)

    answer = await send(api, [*(a_role(f"role-{number}") for number in range(120)), A_USER], **headers)

    assert_problem(answer, 403, "permission_denied")
    assert "role-0" not in (await api.client.get(ROLES)).text
