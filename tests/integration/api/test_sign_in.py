"""Signing in and out: what a session may do, how it goes on, how it ends, and what a stranger learns."""

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import replace
from uuid import UUID

import pytest

from rustok.db.unit_of_work import StaleAuthorization
from rustok.dispatch import Call
from rustok.kernel.context import Context, Principal
from rustok.kernel.ids import uuid7
from rustok.modules.access import Attempt, Circumstances, SignInRefused, SignIns
from rustok.modules.access.passwords import PasswordHasher
from tests.integration.api.house import BASE, EMAIL, NEW_PASSWORD, PASSWORD, SESSIONS, USERS, House
from tests.integration.api.support import PRODUCTS, a_product, administrator, assert_problem, bearer


async def test_who_signs_in_may_do_what_the_user_may(house: House) -> None:
    """Read and write, under the user's own name; tokens are not to be stored on the way."""
    answer = await house.try_to_sign_in()
    tokens = answer.json()

    written = await house.api.client.post(PRODUCTS, json=a_product(), headers=bearer(tokens["access_token"]))
    events = await house.api.rustok.events()

    assert (answer.status_code, answer.headers["cache-control"]) == (201, "no-store")
    assert (tokens["token_type"], tokens["expires_in_s"], tokens["user_id"]) == ("Bearer", 600, house.user_id)
    assert written.status_code == 201
    assert events[-1].envelope.actor == f"user:{house.user_id}"
    assert events[-2].envelope.type == "access.session.opened"


async def test_a_user_is_found_whatever_the_case_of_the_address(house: House) -> None:
    """It is one address."""
    assert (await house.try_to_sign_in("ADA@Example.COM")).status_code == 201


@pytest.mark.parametrize(
    ("email", "password", "tenant"),
    [
        (EMAIL, "another password", "acme"),
        ("bob@example.com", PASSWORD, "acme"),
        (EMAIL, PASSWORD, "globex"),
        (EMAIL, PASSWORD, "nobody"),
        (EMAIL, "", "acme"),
    ],
)
async def test_a_stranger_learns_nothing(house: House, email: str, password: str, tenant: str) -> None:
    """Whether it was the address, the password or the tenant: one answer."""
    await house.api.rustok.create_tenant("globex")

    problem = assert_problem(await house.try_to_sign_in(email, password, tenant), 401, "sign_in_refused")

    assert problem["detail"] == "No user of this tenant has this address and this password."


async def test_who_is_not_active_is_refused_as_a_stranger(house: House) -> None:
    """With the right password; and so is everybody of a tenant that is switched off."""
    path = f"{USERS}/{house.user_id}"
    version = (await house.api.client.get(path)).headers["ETag"]
    await house.api.client.patch(path, json={"is_active": False}, headers={"If-Match": version})
    inactive = await house.try_to_sign_in()
    await house.api.rustok.run("tenants.tenants.disable", house.api.tenant_id)
    switched_off = await house.try_to_sign_in()

    for answer in (inactive, switched_off):
        assert_problem(answer, 401, "sign_in_refused")


async def test_a_tenant_has_to_be_named(house: House) -> None:
    """By X-Tenant or a host: the address may be in several."""
    answer = await house.post(SESSIONS, {"email": EMAIL, "password": PASSWORD})

    assert_problem(answer, 400, "tenant_missing")


async def test_a_tenants_host_names_it(house: House) -> None:
    """And one that contradicts X-Tenant is as a tenant that is not there."""
    await house.api.rustok.run("tenants.domains.add", house.api.tenant_id, domain="shop.example")
    await house.api.rustok.create_tenant("globex")
    body = {"email": EMAIL, "password": PASSWORD}

    at_home = await house.post(SESSIONS, body, Host="shop.example")
    elsewhere = await house.post(SESSIONS, body, Host="shop.example", **{"X-Tenant": "globex"})

    assert at_home.status_code == 201
    assert_problem(elsewhere, 401, "sign_in_refused")


class TestRefreshing:
    async def test_goes_on_for_as_long_as_the_session(self, house: House) -> None:
        """An access token ends after ten minutes, the session after thirty days, however it was kept."""
        tokens = await house.sign_in()
        for _ in range(29):
            house.clock.advance(86_400)
            assert_problem(await house.read(tokens), 401, "unauthenticated")
            tokens = (await house.refresh(tokens)).json()
            assert await house.may_read(tokens)

        house.clock.advance(86_400)
        assert_problem(await house.refresh(tokens), 401, "unauthenticated")

    async def test_twice_at_once_gets_the_same_successor(self, house: House) -> None:
        """The first answer may have been lost."""
        tokens = await house.sign_in()

        first, second = await house.refresh(tokens), await house.refresh(tokens)

        assert first.json()["refresh_token"] == second.json()["refresh_token"]
        assert await house.may_read(second.json())

    async def test_with_an_old_token_ends_the_session(self, house: House) -> None:
        """Somebody has copied it: whoever of the two comes, nobody goes on."""
        stolen = await house.sign_in()
        tokens = (await house.refresh(stolen)).json()
        house.clock.advance(11)

        assert_problem(await house.refresh(stolen), 401, "unauthenticated")

        assert_problem(await house.refresh(tokens), 401, "unauthenticated")
        assert_problem(await house.read(tokens), 401, "unauthenticated")
        [closed] = [e.envelope for e in await house.api.rustok.events() if e.envelope.type == "access.session.closed"]
        assert closed.payload == {"user_id": house.user_id, "reason": "reused"}

    @pytest.mark.parametrize("token", ["", "rtr_1", "eyJhbGciOiJub25lIn0.e30."])
    async def test_with_something_else_is_refused(self, house: House, token: str) -> None:
        """As a token of a session that has ended."""
        assert_problem(await house.refresh({"refresh_token": token}), 401, "unauthenticated")


@pytest.mark.parametrize("where", [{"X-Tenant": "globex"}, {"X-Tenant": "nobody"}, {"Host": f"globex.{BASE}"}])
@pytest.mark.parametrize("way", ["refresh", "sign-out"])
async def test_a_refresh_token_is_of_no_use_where_another_tenant_is_named(
    house: House, way: str, where: dict[str, str]
) -> None:
    """There or not, as any credential; the session goes on, and the token is still good."""
    await house.api.rustok.create_tenant("globex")
    tokens = await house.sign_in()
    body = {"refresh_token": tokens["refresh_token"]}

    for _ in range(2):
        assert_problem(await house.post(f"{SESSIONS}/{way}", body, **where), 403, "tenant_mismatch")

    assert await house.may_read(tokens)
    house.clock.advance(11)
    assert (await house.refresh(tokens)).status_code == 200


@pytest.mark.parametrize("names", [["acme"], [None, f"acme.{BASE}"], ["acme", f"acme.{BASE}"]])
@pytest.mark.parametrize("way", ["refresh", "sign-out"])
async def test_a_refresh_token_is_good_where_its_own_tenant_is_named(
    house: House, way: str, names: list[str | None]
) -> None:
    """By X-Tenant, by the host or by both."""
    tokens = await house.sign_in()
    where = {name: value for name, value in zip(("X-Tenant", "Host"), names, strict=False) if value}

    answer = await house.post(f"{SESSIONS}/{way}", {"refresh_token": tokens["refresh_token"]}, **where)

    assert answer.status_code == 200, answer.text


class TestASessionEnds:
    """From the next request on, although this process remembers the token."""

    async def test_when_the_user_signs_out(self, house: House) -> None:
        """Once or twice; another session of the same user goes on."""
        first, second = await house.sign_in(), await house.sign_in()
        assert await house.may_read(first)

        for _ in range(2):
            answer = await house.post(f"{SESSIONS}/sign-out", {"refresh_token": first["refresh_token"]})
            assert answer.status_code == 200

        assert_problem(await house.read(first), 401, "unauthenticated")
        assert_problem(await house.refresh(first), 401, "unauthenticated")
        assert await house.may_read(second)

    @pytest.mark.parametrize("method", ["sign_out", "set_password", "disable", "delete"])
    async def test_when_somebody_ends_it(self, house: House, method: str) -> None:
        """By closing it, by another password, and with the user."""
        tokens, path = await house.sign_in(), f"{USERS}/{house.user_id}"
        assert await house.may_read(tokens)
        seen = {"If-Match": (await house.api.client.get(path)).headers["ETag"]}

        answer = await {
            "sign_out": lambda: house.api.client.delete(f"{path}/sessions"),
            "set_password": lambda: house.api.client.put(f"{path}/password", json={"password": "another password"}),
            "disable": lambda: house.api.client.patch(path, json={"is_active": False}, headers=seen),
            "delete": lambda: house.api.client.delete(path, headers=seen),
        }[method]()

        assert answer.status_code == 200, answer.text
        assert_problem(await house.read(tokens), 401, "unauthenticated")
        assert_problem(await house.refresh(tokens), 401, "unauthenticated")


class TestAnotherPassword:
    """Of one's own choice."""

    async def test_holds_from_then_on(self, house: House) -> None:
        """It opens a session, and closes all others."""
        before = await house.sign_in()

        tokens = (await house.change_password()).json()

        assert await house.may_read(tokens)
        assert_problem(await house.read(before), 401, "unauthenticated")
        assert_problem(await house.try_to_sign_in(), 401, "sign_in_refused")
        assert (await house.try_to_sign_in(password=NEW_PASSWORD)).status_code == 201

    async def test_needs_the_one_before(self, house: House) -> None:
        """A guess is counted as one."""
        for _ in range(5):
            assert_problem(await house.change_password("a guess"), 401, "sign_in_refused")

        assert_problem(await house.change_password(), 429, "sign_in_blocked")

    async def test_is_long_enough(self, house: House) -> None:
        """Else nothing changes."""
        problem = assert_problem(await house.change_password(new="short"), 422, "invalid_input")

        assert problem["errors"][0]["pointer"] == "#/new_password"
        await house.sign_in()

    async def test_is_none_that_many_people_have(self, house: House) -> None:
        """It is told why it is not taken, and nothing changes."""
        problem = assert_problem(await house.change_password(new="Password1234"), 422, "invalid_input")

        [fault] = problem["errors"]
        assert (fault["pointer"], fault["detail"]) == (
            "#/new_password", "is among the most common passwords: choose another",
        )  # fmt: skip
        await house.sign_in()


class Meddler(PasswordHasher):
    """Does something while a password is looked at."""

    def __init__(self, meddle: Callable[[], Awaitable[object]]) -> None:
        super().__init__()
        self._meddle = meddle

    async def verify(self, password_hash: str | None, password: str) -> bool:
        matches = await super().verify(password_hash, password)
        await self._meddle()
        return matches


@pytest.mark.parametrize("change", ["set_password", "disable", "delete"])
async def test_what_changes_while_a_password_is_looked_at_lets_nobody_in(house: House, change: str) -> None:
    """Else a thief who signs in all the time would have a session from before the change, and after it."""
    rustok, path = house.api.rustok, f"{USERS}/{house.user_id}"
    seen = {"If-Match": (await house.api.client.get(path)).headers["ETag"]}

    async def meddle() -> None:
        answer = await {
            "set_password": lambda: house.api.client.put(f"{path}/password", json={"password": "another password"}),
            "disable": lambda: house.api.client.patch(path, json={"is_active": False}, headers=seen),
            "delete": lambda: house.api.client.delete(path, headers=seen),
        }[change]()
        assert answer.status_code == 200, answer.text

    sign_ins = SignIns(rustok.platform.units, rustok.secrets, rustok.platform.sessions, Meddler(meddle))

    with pytest.raises(SignInRefused):
        await sign_ins.by_password(Attempt(house.api.tenant_id, EMAIL, PASSWORD), Circumstances(uuid7(), None))


async def test_who_is_let_in_again_has_to_sign_in_again(house: House) -> None:
    """What was open before stays closed."""
    tokens, path = await house.sign_in(), f"{USERS}/{house.user_id}"
    for is_active in (False, True):
        seen = {"If-Match": (await house.api.client.get(path)).headers["ETag"]}
        await house.api.client.patch(path, json={"is_active": is_active}, headers=seen)

    assert_problem(await house.read(tokens), 401, "unauthenticated")
    assert_problem(await house.refresh(tokens), 401, "unauthenticated")
    await house.sign_in()


async def test_a_session_beyond_fifty_closes_the_one_that_was_refreshed_least_lately(house: House) -> None:
    """It alone: a user has so many at most, and whoever comes back keeps the session longest."""
    used, unused, another = [await house.sign_in() for _ in range(3)]
    async with administrator(house.api.database) as admin:
        await admin.executemany(
            "INSERT INTO sessions SELECT tenant_id, $1, principal_id, method, generation, rotated_at, expires_at,"
            " revoked_at, version, created_at FROM sessions WHERE id = $2",
            [(uuid7(), another["session_id"]) for _ in range(47)],
        )
    house.clock.advance(1)
    used = (await house.refresh(used)).json()
    fifty = [await house.may_read(tokens) for tokens in (used, unused, another)]

    newest = await house.sign_in()

    assert fifty == [True, True, True]
    assert [await house.may_read(tokens) for tokens in (used, unused, another, newest)] == [True, False, True, True]
    [closed] = [e.envelope for e in await house.api.rustok.events() if e.envelope.type == "access.session.closed"]
    assert str(closed.aggregate_id) == unused["session_id"]
    assert closed.payload == {"user_id": house.user_id, "reason": "superseded"}


async def test_sessions_that_have_ended_are_not_among_the_fifty(house: House) -> None:
    """Whether somebody has closed them or their time has come."""
    kept, closed = await house.sign_in(), await house.sign_in()
    async with administrator(house.api.database) as admin:
        for is_closed in (True, False):
            await admin.executemany(
                "INSERT INTO sessions SELECT tenant_id, $1, principal_id, method, generation, rotated_at,"
                " CASE WHEN $3 THEN expires_at ELSE created_at END, CASE WHEN $3 THEN created_at END, version,"
                " created_at FROM sessions WHERE id = $2",
                [(uuid7(), closed["session_id"], is_closed) for _ in range(50)],
            )

    await house.sign_in()

    assert await house.may_read(kept)


async def test_a_session_that_has_ended_writes_nothing_in_the_company_of_others(house: House) -> None:
    """Calls that share a transaction are of one session: what it begins with is compared once."""
    platform, tenant_id = house.api.rustok.platform, house.api.tenant_id
    tokens = await house.sign_in()
    await house.post(f"{SESSIONS}/sign-out", {"refresh_token": tokens["refresh_token"]})
    everything = frozenset(platform.registry.permissions)
    others = Context(tenant_id=tenant_id, principal=Principal("operator", "somebody", everything))
    ended = replace(others, principal=replace(others.principal, session_id=UUID(tokens["session_id"])))

    async def create(context: Context, title: str) -> object:
        call = Call(platform.registry.commands["commerce.products.create"], {"translations": {"en": {"title": title}}})
        return (await platform.dispatcher.run(call, context)).result

    answers = await asyncio.gather(
        create(others, "One"), create(others, "Two"), create(ended, "Three"), return_exceptions=True
    )

    assert [isinstance(answer, StaleAuthorization) for answer in answers] == [False, False, True]


async def test_a_changed_role_holds_from_the_next_request(house: House) -> None:
    """In a session that is open."""
    tokens = await house.sign_in()
    assert await house.may_read(tokens)

    await house.api.client.put(f"{USERS}/{house.user_id}/roles", json={"roles": []})

    assert_problem(await house.read(tokens), 403, "permission_denied")


async def test_an_access_token_belongs_to_one_tenant(house: House) -> None:
    """As a key does."""
    tokens = await house.sign_in()

    answer = await house.api.client.get(PRODUCTS, headers={**bearer(tokens["access_token"]), "X-Tenant": "globex"})

    assert_problem(answer, 403, "tenant_mismatch")


@pytest.mark.parametrize("password", ["short", "a" * 257, "", "password1234"])
async def test_a_new_password_is_long_enough_and_not_common(house: House, password: str) -> None:
    """And is not echoed where it is not."""
    answer = await house.api.client.put(f"{USERS}/{house.user_id}/password", json={"password": password})

    problem = assert_problem(answer, 422, "invalid_input")
    assert problem["errors"][0]["pointer"] == "#/password"
    await house.sign_in()


async def test_nothing_that_could_sign_in_is_kept_in_the_clear(house: House) -> None:
    """Of a password there is its hash, of tokens nothing, of an address that was tried a keyed hash."""
    tokens = await house.sign_in()
    await house.try_to_sign_in("bob@example.com", "a guess of somebody")

    async with administrator(house.api.database) as admin:
        tables = [r["relname"] for r in await admin.fetch("SELECT relname FROM pg_stat_user_tables")]
        rows = [str(row) for table in tables for row in await admin.fetch(f'SELECT t::text FROM "{table}" AS t')]
    kept = "\n".join(rows)
    given = (tokens["access_token"], tokens["refresh_token"], tokens["device"])
    secrets = (PASSWORD, "a guess of somebody", "bob@example.com", *given)
    assert [secret for secret in secrets if secret in kept] == []
    assert "$argon2id$" in kept
