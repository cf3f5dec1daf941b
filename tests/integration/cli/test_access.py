"""`rustok user`, `role` and `apikey`: who may do what, as the operator of an installation settles it."""

import json
from typing import Any
from uuid import UUID

import pytest

from rustok.modules.access.api_key import parse_api_key
from rustok.testing import PlatformUnderTest
from tests.integration.cli.conftest import Cli, Finished


@pytest.fixture(autouse=True)
async def acme(rustok: PlatformUnderTest) -> UUID:
    """The only tenant: no command has to name it."""
    return await rustok.create_tenant("acme")


def rows(finished: Finished) -> list[dict[str, Any]]:
    assert finished.code == 0, finished.err
    found: list[dict[str, Any]] = json.loads(finished.out)
    return found


async def test_a_user_comes_and_goes(cli: Cli) -> None:
    """Created with roles, given others, kept out, let in, deleted; found by the address or by the id."""
    [created] = rows(await cli("user", "create", "Ada@example.com", "--name", "Ada", "--role", "editor", "--json"))
    [changed] = rows(await cli("user", "roles", "ada@example.com", "--role", "customer", "--json"))
    [off] = rows(await cli("user", "disable", created["id"], "--json"))
    [on] = rows(await cli("user", "enable", "ada@example.com", "--json"))
    listed = rows(await cli("user", "list", "--json"))
    deleted = await cli("user", "delete", "ada@example.com", "--yes")

    assert (created["email"], created["roles"]) == ("ada@example.com", ["editor"])
    assert (changed["roles"], off["is_active"], on["is_active"]) == (["customer"], False, True)
    assert [user["id"] for user in listed] == [created["id"]]
    assert deleted.code == 0
    assert rows(await cli("user", "list", "--json")) == []


@pytest.mark.parametrize("options", [(), ("--none", "--role", "customer")])
async def test_roles_are_not_taken_away_unless_that_is_said(cli: Cli, options: tuple[str, ...]) -> None:
    """Without a role the call reads like one that shows them: it is refused, and nothing has changed."""
    [created] = rows(await cli("user", "create", "ada@example.com", "--name", "Ada", "--role", "editor", "--json"))

    refused = await cli("user", "roles", "ada@example.com", *options)

    assert (refused.code, "--none" in refused.err) == (2, True)
    assert rows(await cli("user", "show", "ada@example.com", "--json")) == [created]


async def test_all_roles_are_taken_away_by_none(cli: Cli) -> None:
    """The one way to leave a user without any."""
    await cli("user", "create", "ada@example.com", "--name", "Ada", "--role", "editor")

    [changed] = rows(await cli("user", "roles", "ada@example.com", "--none", "--json"))

    assert changed["roles"] == []


async def test_a_password_is_read_from_standard_input(cli: Cli) -> None:
    """So that it is in no list of processes and in no history of a shell; one that is too short changes nothing."""
    await cli("user", "create", "ada@example.com", "--name", "Ada")

    short = await cli("user", "password", "ada@example.com", stdin="short\n")
    [user] = rows(await cli("user", "password", "ada@example.com", "--json", stdin="correct horse battery\n"))
    signed_out = await cli("user", "sign-out", "ada@example.com")

    assert (short.code, "invalid_input" in short.err, "short" in short.err.replace("too_short", "")) == (1, True, False)
    assert user["has_password"]
    assert signed_out.err.strip() == "0 sessions closed"


@pytest.mark.parametrize("user", ["bob@example.com", "019a7c00-0000-7000-8000-000000000001"])
async def test_who_is_not_there_is_told(cli: Cli, user: str) -> None:
    """By a code, and nothing is done."""
    finished = await cli("user", "disable", user)

    assert (finished.code, "principal_not_found" in finished.err) == (1, True)


async def test_a_role_is_made_changed_and_deleted(cli: Cli) -> None:
    """What is given takes the place of what was; what is not given stays."""
    [created] = rows(await cli("role", "create", "support", "--parent", "customer", "--grant", "jobs.*.read", "--json"))
    [changed] = rows(await cli("role", "update", "support", "--grant-own", "content.nodes.write", "--json"))
    [shown] = rows(await cli("role", "show", "support", "--json"))
    listed = rows(await cli("role", "list", "--json"))

    assert created["permissions"] == [
        "index.content.read", "index.products.read", "jobs.dead_letters.read", "jobs.operations.read",
    ]  # fmt: skip
    assert (changed["grants"], changed["own_permissions"]) == (["jobs.*.read"], ["content.nodes.write"])
    assert shown == changed
    assert [role["name"] for role in listed if role["version"]] == ["support"]
    assert (await cli("role", "delete", "support", "--yes")).code == 0


async def test_what_is_wrong_with_a_role_is_told(cli: Cli) -> None:
    """By a code, with its place."""
    unknown = await cli("role", "create", "clerk", "--grant", "nothing.at.all")
    await cli("role", "create", "first")
    circle = await cli("role", "update", "first", "--parent", "first")

    assert (unknown.code, "unknown_permission" in unknown.err) == (1, True)
    assert (circle.code, "role_cycle" in circle.err) == (1, True)


@pytest.mark.parametrize("change", [("update", "owner", "--summary", "mine"), ("delete", "owner", "--yes")])
async def test_a_built_in_role_is_said_to_be_one(cli: Cli, change: tuple[str, ...]) -> None:
    """Not to have a version that the caller has seen: it has none."""
    refused = await cli("role", *change)

    assert (refused.code, "(built_in_role)" in refused.err) == (1, True)


async def test_a_key_is_rotated_and_revoked(cli: Cli) -> None:
    """Its successor is printed once, alone on standard output; the list has both."""
    first = await cli("apikey", "create", "--role", "manager", "--name", "Till", "--scope", "commerce.*")
    key = parse_api_key(first.out.strip())
    assert key is not None

    second = await cli("apikey", "rotate", key.key_id, "--overlap-h", "1")
    successor = parse_api_key(second.out.strip())
    assert successor is not None
    await cli("apikey", "revoke", successor.key_id)
    listed = {row["key_id"]: row for row in rows(await cli("apikey", "list", "--json"))}

    assert listed.keys() == {key.key_id, successor.key_id}
    assert listed[key.key_id]["expires_at"] is not None
    assert listed[successor.key_id]["revoked_at"] is not None
    assert listed[successor.key_id]["scopes"] == listed[key.key_id]["scopes"]
    assert "commerce.products.write" in listed[key.key_id]["scopes"]


async def test_a_key_may_be_of_a_user(cli: Cli) -> None:
    """Whoever neither names one nor a role is told so."""
    [user] = rows(await cli("user", "create", "ada@example.com", "--name", "Ada", "--role", "editor", "--json"))

    created = await cli("apikey", "create", "--principal", user["id"], "--json")
    nobodys = await cli("apikey", "create")

    assert rows(created)[0]["token"].startswith("rtk_")
    assert [row["principal_id"] for row in rows(await cli("apikey", "list", "--principal", user["id"], "--json"))] == [
        user["id"]
    ]
    assert (nobodys.code, "principal_id or role" in nobodys.err) == (1, True)
