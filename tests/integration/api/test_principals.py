"""Users, service principals, their roles and their keys: nobody gives away what one has not."""

from datetime import UTC, datetime, timedelta
from typing import Any

import httpx2
import pytest

from rustok.modules.access.roles import BUILT_IN_ROLES
from tests.integration.api.support import (
    PRODUCTS,
    UNKNOWN_ID,
    ApiUnderTest,
    a_product,
    administrator,
    assert_problem,
    bearer,
    pointers,
)

ACCESS = "/api/v1/access"
USERS, SERVICES, ROLES, KEYS = (f"{ACCESS}/{noun}" for noun in ("users", "service-principals", "roles", "api-keys"))
NODES = "/api/v1/content/nodes"


async def made(answer: httpx2.Response) -> dict[str, Any]:
    assert answer.status_code == 201, answer.text
    found: dict[str, Any] = answer.json()
    return found


async def a_service(api: ApiUnderTest, *roles: str) -> dict[str, Any]:
    return await made(await api.client.post(SERVICES, json={"name": "Till", "roles": roles}))


async def a_user(api: ApiUnderTest, *roles: str, email: str = "ada@example.com") -> dict[str, Any]:
    return await made(await api.client.post(USERS, json={"email": email, "name": "Ada", "roles": roles}))


async def a_role(api: ApiUnderTest, name: str, **fields: Any) -> dict[str, Any]:
    return await made(await api.client.post(ROLES, json={"name": name, **fields}))


def seen(role: dict[str, Any]) -> dict[str, str]:
    return {"If-Match": f'"{role["version"]}"'}


async def key_of(api: ApiUnderTest, principal: dict[str, Any], **fields: Any) -> dict[str, str]:
    """Create a key of *principal* and return the headers with it."""
    answer = await api.client.post(KEYS, json={"name": "a key", "principal_id": principal["id"], **fields})
    return bearer((await made(answer))["token"])


async def may(api: ApiUnderTest, headers: dict[str, str]) -> set[str]:
    me = await api.client.get(f"{ACCESS}/me", headers=headers)
    assert me.status_code == 200, me.text
    return set(me.json()["permissions"]) - {"access.me.read"}


async def test_a_key_may_do_what_its_principal_may(api: ApiUnderTest) -> None:
    """As long as it may, from the next request on."""
    service = await a_service(api, "manager")
    key = await key_of(api, service)
    assert (await api.client.get(PRODUCTS, headers=key)).status_code == 200

    answer = await api.client.put(f"{SERVICES}/{service['id']}/roles", json={"roles": ["customer"]})

    assert answer.json()["roles"] == ["customer"]
    assert_problem(await api.client.get(PRODUCTS, headers=key), 403, "permission_denied")


async def test_scopes_bound_a_key(api: ApiUnderTest) -> None:
    """It has those of its principal's rights that are among them; a pattern stands for what there is at the time."""
    key = await key_of(api, await a_service(api, "customer"), scopes=["commerce.*", "index.products.read"])

    assert await may(api, key) == {"index.products.read"}


@pytest.mark.parametrize("scopes", [[], ["nothing.*"], ["tenants.tenants.create"], ["commerce..read"], ["*", "*"]])
async def test_a_scope_is_a_permission_that_there_is(shared_api: ApiUnderTest, scopes: list[str]) -> None:
    """Not one of the platform, and not none."""
    body = {"name": "a key", "role": "manager", "scopes": scopes}

    problem = assert_problem(await shared_api.client.post(KEYS, json=body), 422, "invalid_input")

    assert problem["errors"][0]["pointer"].startswith("#/scopes")


@pytest.mark.parametrize("owner", [{}, {"role": "manager", "principal_id": UNKNOWN_ID}])
async def test_a_key_has_one_owner(shared_api: ApiUnderTest, owner: dict[str, str]) -> None:
    """A principal that there is, or one that is made for it."""
    assert_problem(await shared_api.client.post(KEYS, json={"name": "a key", **owner}), 422, "invalid_input")


async def test_a_principal_is_made_with_a_key_by_who_may_make_it_without(api: ApiUnderTest) -> None:
    """Whoever may create keys, and no service principals, creates keys of those that there are."""
    await a_role(api, "keeper", grants=["access.api_keys.write"])
    await a_role(api, "maker", parents=["keeper"], grants=["access.service_principals.write"])
    services = {role: await a_service(api, role) for role in ("keeper", "maker")}
    keeper, maker = [await key_of(api, service) for service in services.values()]
    made_for_it = {"name": "a key", "role": "keeper"}

    refused = await api.client.post(KEYS, json=made_for_it, headers=keeper)
    of_one = {"name": "a key", "principal_id": services["keeper"]["id"]}

    detail = assert_problem(refused, 403, "permission_denied")["detail"]
    assert "access.service_principals.write" in detail
    assert (await api.client.post(KEYS, json=of_one, headers=keeper)).status_code == 201
    assert (await api.client.post(KEYS, json=made_for_it, headers=maker)).status_code == 201


async def test_a_rotated_key_works_on_for_a_while(api: ApiUnderTest) -> None:
    """Both do; without an overlap the new one alone. The new one may do the same."""
    created = await made(
        await api.client.post(KEYS, json={"name": "a key", "role": "manager", "scopes": ["commerce.*"]})
    )

    second = await made(await api.client.post(f"{KEYS}/{created['key_id']}/rotate", json={"overlap_s": 60}))
    both = [await api.client.get(PRODUCTS, headers=bearer(key["token"])) for key in (created, second)]
    third = await made(await api.client.post(f"{KEYS}/{second['key_id']}/rotate", json={"overlap_s": 0}))
    after = await api.client.get(PRODUCTS, headers=bearer(second["token"]))

    assert [answer.status_code for answer in both] == [200, 200]
    assert_problem(after, 401, "unauthenticated")
    assert third["scopes"] == created["scopes"]
    again = await api.client.post(f"{KEYS}/{second['key_id']}/rotate", json={})
    assert_problem(again, 409, "api_key_ended")


async def test_a_repeated_request_for_a_key_has_the_same_token_which_is_not_kept_in_the_clear(
    api: ApiUnderTest,
) -> None:
    """Who reads the table of answers learns no key."""
    repeat = {"Idempotency-Key": "one"}
    first, second = [
        await made(await api.client.post(KEYS, json={"name": "a key", "role": "owner"}, headers=repeat)) for _ in "12"
    ]

    assert first["token"] == second["token"]
    async with administrator(api.database) as admin:
        [kept] = await admin.fetch("SELECT result FROM idempotency_keys")
    assert first["key_id"] not in kept["result"]


@pytest.mark.parametrize("noun", ["users", "service-principals"])
async def test_who_is_not_active_is_refused_at_the_next_request(api: ApiUnderTest, noun: str) -> None:
    """With every key; and let in again by the same."""
    principal = await (a_user if noun == "users" else a_service)(api, "manager")
    key = await key_of(api, principal)
    path = f"{ACCESS}/{noun}/{principal['id']}"

    off = await api.client.patch(path, json={"is_active": False}, headers={"If-Match": '"1"'})
    refused = await api.client.get(PRODUCTS, headers=key)
    await api.client.patch(path, json={"is_active": True}, headers={"If-Match": off.headers["ETag"]})

    assert_problem(refused, 401, "unauthenticated")
    assert (await api.client.get(PRODUCTS, headers=key)).status_code == 200


async def test_a_deleted_user_leaves_no_key_behind(api: ApiUnderTest) -> None:
    """And the address is free again."""
    user = await a_user(api, "manager")
    key = await key_of(api, user)

    await api.client.delete(f"{USERS}/{user['id']}", headers={"If-Match": '"1"'})

    assert_problem(await api.client.get(PRODUCTS, headers=key), 401, "unauthenticated")
    assert (await a_user(api))["id"] != user["id"]


async def test_an_address_is_one_users(api: ApiUnderTest) -> None:
    """In whatever case it is written; a user is found by it."""
    user = await a_user(api, email="Ada@Example.com")

    twice = await api.client.post(USERS, json={"email": "ADA@example.com", "name": "Ada"})
    found = await api.client.get(USERS, params={"email": "ada@EXAMPLE.com"})

    assert_problem(twice, 409, "duplicate_email")
    assert [each["id"] for each in found.json()["data"]] == [user["id"]]


@pytest.mark.parametrize("email", ["", "ada", "@example.com", "ada@", "a b@example.com", "a@b@c", "ada@example.com\n"])
async def test_an_address_has_two_parts(shared_api: ApiUnderTest, email: str) -> None:
    """And no spaces."""
    answer = await shared_api.client.post(USERS, json={"email": email, "name": "Ada"})

    assert pointers(assert_problem(answer, 422, "invalid_input"))[0][0] == "#/email"


async def test_a_role_allows_what_it_and_its_ancestors_do(api: ApiUnderTest) -> None:
    """Built-in ones among them; patterns stand for what there is."""
    await a_role(api, "reader", grants=["commerce.*.read"])
    await a_role(api, "support", parents=["reader", "customer"], grants=["jobs.operations.read"])

    key = await key_of(api, await a_service(api, "support"))

    assert await may(api, key) == {
        "commerce.products.read", "index.products.read", "index.content.read", "jobs.operations.read",
    }  # fmt: skip


async def test_a_changed_role_holds_from_the_next_request(api: ApiUnderTest) -> None:
    """For those who have one that descends from it, too."""
    reader = await a_role(api, "reader", grants=["commerce.products.read"])
    await a_role(api, "clerk", parents=["reader"])
    key = await key_of(api, await a_service(api, "clerk"))
    assert (await api.client.get(PRODUCTS, headers=key)).status_code == 200

    answer = await api.client.patch(f"{ROLES}/reader", json={"grants": []}, headers=seen(reader))

    assert answer.json()["permissions"] == []
    assert_problem(await api.client.get(PRODUCTS, headers=key), 403, "permission_denied")


async def test_no_role_descends_from_itself(api: ApiUnderTest) -> None:
    """Neither at once nor by way of others."""
    first = await a_role(api, "first")
    await a_role(api, "second", parents=["first"])

    for parent in ("first", "second"):
        answer = await api.client.patch(f"{ROLES}/first", json={"parents": [parent]}, headers=seen(first))
        assert_problem(answer, 409, "role_cycle")


async def test_no_ancestor_is_more_than_five_steps_away(api: ApiUnderTest) -> None:
    """Also where a role in the middle is moved."""
    lowest = await a_role(api, "r0")
    for number in range(1, 6):
        await a_role(api, f"r{number}", parents=[f"r{number - 1}"])
    await a_role(api, "apart")

    below = await api.client.post(ROLES, json={"name": "r6", "parents": ["r5"]})
    moved = await api.client.patch(f"{ROLES}/r0", json={"parents": ["apart"]}, headers=seen(lowest))

    assert_problem(below, 409, "role_too_deep")
    assert_problem(moved, 409, "role_too_deep")


async def test_a_role_that_is_made_anew_has_another_version(api: ApiUnderTest) -> None:
    """A late repetition of what was meant for the one of before does not meet it."""
    role = await a_role(api, "clerk")
    changed = await api.client.patch(f"{ROLES}/clerk", json={"summary": "At the till"}, headers=seen(role))
    assert (await api.client.delete(f"{ROLES}/clerk", headers=seen(changed.json()))).status_code == 200

    anew = await a_role(api, "clerk")

    for late in (
        await api.client.patch(f"{ROLES}/clerk", json={"summary": "At the till"}, headers=seen(role)),
        await api.client.delete(f"{ROLES}/clerk", headers=seen(changed.json())),
    ):
        assert_problem(late, 412, "version_mismatch")
    assert (await api.client.get(f"{ROLES}/clerk")).json() == anew


async def test_a_role_is_made_where_there_is_none(api: ApiUnderTest) -> None:
    """Which may be said: there is no version yet."""
    made_once = await api.client.post(ROLES, json={"name": "clerk"}, headers={"If-None-Match": "*"})

    assert made_once.status_code == 201, made_once.text


async def test_a_role_that_somebody_has_is_not_deleted(api: ApiUnderTest) -> None:
    """Nor one from which another descends."""
    roles = {"reader": await a_role(api, "reader"), "clerk": await a_role(api, "clerk", parents=["reader"])}
    service = await a_service(api, "clerk")

    for role in ("reader", "clerk"):
        answer = await api.client.delete(f"{ROLES}/{role}", headers=seen(roles[role]))
        assert_problem(answer, 409, "role_in_use")
    await api.client.delete(f"{SERVICES}/{service['id']}", headers={"If-Match": '"1"'})
    for role in ("clerk", "reader"):
        assert (await api.client.delete(f"{ROLES}/{role}", headers=seen(roles[role]))).status_code == 200


@pytest.mark.parametrize("name", sorted(role for role in BUILT_IN_ROLES if "." not in role))
async def test_no_role_is_called_as_a_built_in_one(shared_api: ApiUnderTest, name: str) -> None:
    """As none is called as another one of the tenant's own."""
    assert_problem(await shared_api.client.post(ROLES, json={"name": name}), 409, "duplicate_role")


@pytest.mark.parametrize("name", sorted(BUILT_IN_ROLES))
async def test_a_built_in_role_stays_as_it_is(shared_api: ApiUnderTest, name: str) -> None:
    """It is read and listed, so that it is not there is no answer."""
    updated = await shared_api.client.patch(f"{ROLES}/{name}", json={"summary": "Mine"}, headers=seen({"version": 1}))
    deleted = await shared_api.client.delete(f"{ROLES}/{name}", headers=seen({"version": 1}))

    assert_problem(updated, 409, "built_in_role")
    assert_problem(deleted, 409, "built_in_role")


@pytest.mark.parametrize("name", ["ops.viewer", "Support", "a b", ""])
async def test_a_role_has_a_name_of_its_own(shared_api: ApiUnderTest, name: str) -> None:
    """A word in lower case without dots, which are for built-in ones."""
    assert_problem(await shared_api.client.post(ROLES, json={"name": name}), 422, "invalid_input")


@pytest.mark.parametrize(
    ("path", "body", "pointer"),
    [
        (USERS, {"email": "bob@example.com", "name": "Bob", "roles": ["customer", "nobody"]}, "#/roles/1"),
        (SERVICES, {"name": "Till", "roles": ["nobody"]}, "#/roles/0"),
        (ROLES, {"name": "clerk", "parents": ["nobody"]}, "#/parents/0"),
    ],
)
async def test_an_unknown_role_is_named_by_its_place(
    shared_api: ApiUnderTest, path: str, body: dict[str, Any], pointer: str
) -> None:
    """Wherever roles are given."""
    problem = assert_problem(await shared_api.client.post(path, json=body), 422, "unknown_role")

    assert pointers(problem) == [(pointer, "unknown_role")]


@pytest.mark.parametrize(
    ("field", "pattern", "code"),
    [
        ("grants", "tenants.tenants.create", "unknown_permission"),
        ("grants", "commerce.lamps.light", "unknown_permission"),
        ("own_grants", "commerce.products.write", "not_ownable"),
        ("own_grants", "commerce.*", "not_ownable"),
    ],
)
async def test_a_role_grants_what_can_be_granted(shared_api: ApiUnderTest, field: str, pattern: str, code: str) -> None:
    """What there is, but for the platform's own; for one's own alone what somebody makes."""
    answer = await shared_api.client.post(ROLES, json={"name": "clerk", field: [pattern]})

    problem = assert_problem(answer, 422, "invalid_input")
    assert pointers(problem) == [(f"#/{field}/0", code)]


async def test_a_pattern_grants_for_ones_own_what_can_be_ones_own(api: ApiUnderTest) -> None:
    """The rest of what it stands for is left out."""
    role = await a_role(api, "author", own_grants=["content.nodes.*"])

    assert "content.nodes.write" in role["own_permissions"]
    assert "content.nodes.read" not in role["own_permissions"]


class TestNobodyGivesAway:
    """What one has not oneself."""

    async def weaker(self, api: ApiUnderTest) -> dict[str, str]:
        """Return the headers of somebody who may do everything about access, and nothing else."""
        await a_role(api, "warden", grants=["access.*"])
        return await key_of(api, await a_service(api, "warden"))

    @pytest.mark.parametrize(
        ("path", "body"),
        [
            (USERS, {"email": "eve@example.com", "name": "Eve", "roles": ["manager"]}),
            (SERVICES, {"name": "Till", "roles": ["owner"]}),
            (ROLES, {"name": "strong", "grants": ["commerce.*"]}),
            (ROLES, {"name": "strong", "parents": ["editor"]}),
            (ROLES, {"name": "strong", "own_grants": ["content.nodes.write"]}),
            (KEYS, {"name": "a key", "role": "manager"}),
        ],
    )
    async def test_by_making_it(self, api: ApiUnderTest, path: str, body: dict[str, Any]) -> None:
        """Neither a user nor a role nor a key."""
        assert_problem(await api.client.post(path, json=body, headers=await self.weaker(api)), 403, "rights_exceeded")

    async def test_by_a_key_of_somebody_else(self, api: ApiUnderTest) -> None:
        """But one that may do no more than oneself."""
        mine, other = await self.weaker(api), await a_service(api, "owner")
        body = {"name": "a key", "principal_id": other["id"]}

        whole = await api.client.post(KEYS, json=body, headers=mine)
        part = await api.client.post(KEYS, json={**body, "scopes": ["access.*.read"]}, headers=mine)

        assert_problem(whole, 403, "rights_exceeded")
        assert part.status_code == 201

    async def test_by_changing_who_has_it(self, api: ApiUnderTest) -> None:
        """Not even by taking it away."""
        mine, strong = await self.weaker(api), await a_user(api, "manager")
        path, seen = f"{USERS}/{strong['id']}", {"If-Match": '"1"', **mine}

        answers = [
            await api.client.put(f"{path}/roles", json={"roles": []}, headers=mine),
            await api.client.patch(path, json={"is_active": False}, headers=seen),
            await api.client.delete(path, headers=seen),
        ]

        for answer in answers:
            assert_problem(answer, 403, "rights_exceeded")
        assert (await api.client.get(path)).json()["version"] == 1

    async def test_by_a_key_of_somebody_who_may_change_something_else(self, api: ApiUnderTest) -> None:
        """What holds for one's own is another thing for each: such a key would reach what is the other's."""
        await a_role(api, "author", own_grants=["content.nodes.write"])
        await a_role(api, "lead", parents=["author"], grants=["access.api_keys.write"])
        lead, author = await a_service(api, "lead"), await a_service(api, "author")
        mine = await key_of(api, lead)

        of_the_other = await api.client.post(KEYS, json={"name": "a key", "principal_id": author["id"]}, headers=mine)
        of_oneself = await api.client.post(KEYS, json={"name": "a key", "principal_id": lead["id"]}, headers=mine)

        assert_problem(of_the_other, 403, "rights_exceeded")
        assert of_oneself.status_code == 201

    async def test_by_a_key_that_grows_with_its_principal(self, api: ApiUnderTest) -> None:
        """What somebody makes for another has the maker's rights at most, for ever."""
        mine, other = await self.weaker(api), await a_user(api)
        body = {"name": "a key", "principal_id": other["id"], "scopes": ["*"]}
        key = bearer((await made(await api.client.post(KEYS, json=body, headers=mine)))["token"])

        await api.client.put(f"{USERS}/{other['id']}/roles", json={"roles": ["owner"]})

        assert {permission.partition(".")[0] for permission in await may(api, key)} == {"access"}

    async def test_by_revoking_it(self, api: ApiUnderTest) -> None:
        """Nor does one take away what others run on."""
        key_id = api.client.headers["authorization"].split("_")[2]

        answer = await api.client.delete(f"{KEYS}/{key_id}", headers=await self.weaker(api))

        assert_problem(answer, 403, "rights_exceeded")


class TestAKeyGoesNoFurtherThanItself:
    """Neither in what it may do nor in how long, also where its principal may more."""

    async def service(self, api: ApiUnderTest) -> dict[str, Any]:
        """Return somebody who may do everything about access, and read nodes."""
        await a_role(api, "warden", grants=["access.*", "content.nodes.read"], own_grants=["content.nodes.write"])
        return await a_service(api, "warden")

    async def test_by_making_another(self, api: ApiUnderTest) -> None:
        """With the scopes that it has itself it may."""
        service = await self.service(api)
        scoped = await key_of(api, service, scopes=["access.api_keys.*", "content.nodes.write"])
        body = {"name": "a key", "principal_id": service["id"]}

        whole = await api.client.post(KEYS, json=body, headers=scoped)
        more = await api.client.post(KEYS, json={**body, "scopes": ["content.nodes.read"]}, headers=scoped)
        others = await api.client.post(KEYS, json={**body, "scopes": ["*.*.write"]}, headers=scoped)

        for answer in (whole, more, others):
            assert_problem(answer, 403, "rights_exceeded")
        part = await made(await api.client.post(KEYS, json={**body, "scopes": ["content.*.write"]}, headers=scoped))
        assert part["scopes"] == ["content.nodes.write"]

    async def test_by_rotating_or_revoking_another(self, api: ApiUnderTest) -> None:
        """Itself it may."""
        service = await self.service(api)
        broad, scoped = await key_of(api, service), await key_of(api, service, scopes=["access.api_keys.*"])
        broad_id, scoped_id = (key["Authorization"].split("_")[2] for key in (broad, scoped))

        assert_problem(
            await api.client.post(f"{KEYS}/{broad_id}/rotate", json={}, headers=scoped), 403, "rights_exceeded"
        )
        assert_problem(await api.client.delete(f"{KEYS}/{broad_id}", headers=scoped), 403, "rights_exceeded")
        successor = await made(await api.client.post(f"{KEYS}/{scoped_id}/rotate", json={}, headers=scoped))
        assert successor["scopes"] == ["access.api_keys.read", "access.api_keys.write"]
        revoked = await api.client.delete(f"{KEYS}/{successor['key_id']}", headers=bearer(successor["token"]))
        assert revoked.status_code == 200

    async def test_by_one_that_grows_with_the_principal(self, api: ApiUnderTest) -> None:
        """Scopes that were all of it once are not for ever."""
        service = await self.service(api)
        scoped = await key_of(api, service, scopes=["access.*", "content.*"])
        body = {"name": "a key", "principal_id": service["id"]}
        key = bearer((await made(await api.client.post(KEYS, json=body, headers=scoped)))["token"])

        await api.client.put(f"{SERVICES}/{service['id']}/roles", json={"roles": ["owner"]})

        assert {permission.partition(".")[0] for permission in await may(api, key)} == {"access", "content"}

    async def test_by_setting_the_users_password(self, api: ApiUnderTest) -> None:
        """With which one could sign in as the whole user."""
        user = await a_user(api, "owner")
        scoped = await key_of(api, user, scopes=["access.users.*"])
        path, body = f"{USERS}/{user['id']}/password", {"password": "correct horse battery staple"}

        assert_problem(await api.client.put(path, json=body, headers=scoped), 403, "rights_exceeded")
        assert (await api.client.put(path, json=body, headers=await key_of(api, user))).status_code == 200

    @pytest.mark.parametrize("of_another", [False, True])
    async def test_in_time(self, api: ApiUnderTest, *, of_another: bool) -> None:
        """What it makes, for whomever, ends when it does at the latest."""
        service = await self.service(api)
        end, later = (datetime.now(UTC) + timedelta(hours=hours) for hours in (1, 2))
        short = await key_of(api, service, expires_at=end.isoformat())
        holder = await a_service(api) if of_another else service
        body = {"name": "a key", "principal_id": holder["id"]}

        for fields in ({}, {"expires_at": later.isoformat()}):
            answer = await api.client.post(KEYS, json={**body, **fields}, headers=short)
            assert_problem(answer, 403, "rights_exceeded")
        await made(await api.client.post(KEYS, json={**body, "expires_at": end.isoformat()}, headers=short))

    async def test_in_time_by_rotating(self, api: ApiUnderTest) -> None:
        """Itself it may: the successor has its end."""
        service = await self.service(api)
        endless = await key_of(api, service)
        end = datetime.now(UTC) + timedelta(hours=1)
        short = await key_of(api, service, expires_at=end.isoformat())
        endless_id, short_id = (key["Authorization"].split("_")[2] for key in (endless, short))

        refused = await api.client.post(f"{KEYS}/{endless_id}/rotate", json={}, headers=short)
        rotated = await made(await api.client.post(f"{KEYS}/{short_id}/rotate", json={}, headers=short))

        assert_problem(refused, 403, "rights_exceeded")
        assert datetime.fromisoformat(rotated["expires_at"]) == end


@pytest.mark.parametrize("moment", ["9999-12-31T23:59:59-14:00", "0001-01-01T00:00:00+14:00"])
async def test_a_moment_that_there_is_not_in_utc_is_refused(shared_api: ApiUnderTest, moment: str) -> None:
    """It cannot be kept."""
    answer = await shared_api.client.post(KEYS, json={"name": "a key", "role": "customer", "expires_at": moment})

    assert pointers(assert_problem(answer, 422, "invalid_input"))[0][0] == "#/expires_at"


class TestWhatOneHasMade:
    """A right for one's own alone holds for that, and for nothing else."""

    async def author(self, api: ApiUnderTest, role: str = "author") -> dict[str, str]:
        await a_role(api, role, grants=["content.*.read"], own_grants=["content.*.write"])
        return await key_of(api, await a_service(api, role))

    async def node(self, api: ApiUnderTest, headers: dict[str, str], title: str = "How?") -> str:
        body = {"kind": "faq", "translations": {"en": {"title": title}}}
        return str((await made(await api.client.post(NODES, json=body, headers=headers)))["id"])

    async def test_is_changed_and_deleted(self, api: ApiUnderTest) -> None:
        """By whoever has made it, with any key."""
        mine = await self.author(api)
        node = await self.node(api, mine)

        changed = await api.client.patch(f"{NODES}/{node}", json={"tags": ["a"]}, headers={**mine, "If-Match": '"1"'})
        deleted = await api.client.delete(f"{NODES}/{node}", headers={**mine, "If-Match": '"2"'})

        assert (changed.status_code, deleted.status_code) == (200, 200)

    async def test_stays_ones_own_when_the_key_is_rotated(self, api: ApiUnderTest) -> None:
        """It is the principal's, and not the key's."""
        old = await self.author(api)
        node = await self.node(api, old)
        key_id = old["Authorization"].split("_")[2]
        new = bearer((await made(await api.client.post(f"{KEYS}/{key_id}/rotate", json={"overlap_s": 0})))["token"])

        changed = await api.client.patch(f"{NODES}/{node}", json={"tags": ["a"]}, headers={**new, "If-Match": '"1"'})

        assert changed.status_code == 200

    async def test_is_nobody_elses(self, api: ApiUnderTest) -> None:
        """What others have made, or nobody knows who, stays as it is."""
        mine, others = await self.author(api), await self.author(api, "another")
        theirs, nobodys = await self.node(api, others), await self.node(api, others, "Why?")
        async with administrator(api.database) as admin:
            await admin.execute("UPDATE nodes SET made_by = NULL WHERE id = $1", nobodys)
        for node in (theirs, nobodys):
            answer = await api.client.patch(
                f"{NODES}/{node}", json={"tags": ["a"]}, headers={**mine, "If-Match": '"1"'}
            )

            assert_problem(answer, 403, "permission_denied")

    async def test_is_all_that_it_reaches(self, api: ApiUnderTest) -> None:
        """Another command of another permission is refused as ever."""
        mine = await self.author(api)
        node = await self.node(api, mine)

        assert_problem(await api.client.post(f"{NODES}/{node}/publish", headers=mine), 403, "permission_denied")
        assert_problem(await api.client.post(PRODUCTS, json=a_product(), headers=mine), 403, "permission_denied")


async def test_who_one_is(api: ApiUnderTest) -> None:
    """Told to everybody with a credential."""
    user = await a_user(api)
    key = await key_of(api, user)

    me = (await api.client.get(f"{ACCESS}/me", headers=key)).json()

    assert me["actor"].startswith("apikey:")
    assert me == {
        "tenant_id": str(api.tenant_id),
        "actor": me["actor"],
        "principal_id": user["id"],
        "permissions": ["access.me.read"],
        "own_permissions": [],
    }
