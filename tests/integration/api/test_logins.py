"""Signing in by an OpenID provider: a user of the tenant comes back with a session, and nobody else does."""

import json
from collections.abc import AsyncIterator
from typing import Any

import httpx2
import pytest
from pydantic import SecretStr

from rustok.testing import FixedClock, PlatformUnderTest
from tests.integration.access.openid import CLIENT_ID, CLIENT_SECRET, NOW, REDIRECT, FakeProvider, providing
from tests.integration.api.support import ApiUnderTest, assert_problem, bearer, settings_for

LOGINS = "/api/v1/access/logins"


class Lobby:
    """The tenant acme, and a provider that vouches for anna@example.com."""

    def __init__(self, api: ApiUnderTest, provider: FakeProvider) -> None:
        self.api = api
        self.provider = provider

    async def a_user(self, email: str = "anna@example.com") -> str:
        user = await self.api.client.post("/api/v1/access/users", json={"email": email, "name": "Anna"})
        assert user.status_code == 201, user.text
        return str(user.json()["id"])

    async def post(self, path: str, body: dict[str, Any], tenant: str = "acme") -> httpx2.Response:
        return await self.api.client.post(path, json=body, headers={"Authorization": "", "X-Tenant": tenant})

    async def begin(self, tenant: str = "acme") -> dict[str, str]:
        answer = await self.post(LOGINS, {"provider": "example"}, tenant)
        assert answer.status_code == 200, answer.text
        begun: dict[str, str] = answer.json()
        return begun

    async def sign_in(self, tenant: str = "acme", begun_in: str = "acme") -> httpx2.Response:
        begun = await self.begin(begun_in)
        code, state = self.provider.sign_in(begun["url"])
        body = {"provider": "example", "code": code, "state": state, "login": begun["login"]}
        return await self.post(f"{LOGINS}/end", body, tenant)


@pytest.fixture
async def lobby(rustok: PlatformUnderTest) -> AsyncIterator[Lobby]:
    async with providing() as provider:
        configured = {
            "name": "example", "issuer": provider.issuer, "client_id": CLIENT_ID, "client_secret": CLIENT_SECRET,
            "redirect_uri": REDIRECT,
        }  # fmt: skip
        settings = settings_for(
            rustok.database,
            oidc_providers=SecretStr(json.dumps([configured])),
            oidc_allowed_networks="127.0.0.1/32",
        )
        async with ApiUnderTest.open(rustok, settings=settings, clock=FixedClock(NOW)) as api:
            yield Lobby(api, provider)


async def test_a_user_whom_the_provider_knows_signs_in(lobby: Lobby) -> None:
    """By the address that it has verified; the session is as any other."""
    user_id = await lobby.a_user()

    answer = await lobby.sign_in()
    tokens = answer.json()
    me = await lobby.api.client.get("/api/v1/access/me", headers=bearer(tokens["access_token"]))

    assert (answer.status_code, answer.headers["cache-control"]) == (201, "no-store")
    assert me.json()["actor"] == f"user:{user_id}"
    [opened] = [e.envelope for e in await lobby.api.rustok.events() if e.envelope.type == "access.session.opened"]
    assert opened.payload == {"user_id": user_id, "method": "example"}


async def test_a_user_stays_who_it_was_when_the_address_changes(lobby: Lobby) -> None:
    """After the first time the provider's own name for somebody counts, not an address, which may be given away."""
    user_id = await lobby.a_user()
    await lobby.sign_in()
    other_id = await lobby.a_user("bob@example.com")
    lobby.provider.claims["email"] = "bob@example.com"

    same = await lobby.sign_in()
    lobby.provider.claims |= {"sub": "somebody else", "email": "anna@example.com"}
    stranger = await lobby.sign_in()

    assert same.json()["user_id"] == user_id != other_id
    assert_problem(stranger, 401, "oidc_login_refused")


@pytest.mark.parametrize("change", [{"email_verified": False}, {"email": None}, {"email": "bob@example.com"}])
async def test_who_is_no_user_does_not_sign_in(lobby: Lobby, change: dict[str, Any]) -> None:
    """Nor whom the provider is not sure of."""
    await lobby.a_user()
    lobby.provider.claims |= change

    assert_problem(await lobby.sign_in(), 401, "oidc_login_refused")


async def test_who_is_not_active_does_not_sign_in(lobby: Lobby) -> None:
    """Also who has before."""
    user_id = await lobby.a_user()
    await lobby.sign_in()
    await lobby.api.client.patch(
        f"/api/v1/access/users/{user_id}", json={"is_active": False}, headers={"If-Match": '"1"'}
    )

    assert_problem(await lobby.sign_in(), 401, "oidc_login_refused")


async def test_a_login_ends_in_the_tenant_in_which_it_began(lobby: Lobby) -> None:
    """Whatever X-Tenant says at its end."""
    await lobby.a_user()
    await lobby.api.rustok.create_tenant("globex")

    assert_problem(await lobby.sign_in("globex"), 401, "oidc_login_refused")


async def test_a_provider_that_is_not_there_signs_nobody_in(lobby: Lobby) -> None:
    """An operator has configured another."""
    assert_problem(await lobby.post(LOGINS, {"provider": "another"}), 401, "oidc_login_refused")


@pytest.mark.parametrize("tenant", ["globex", "initech", "nobody"])
async def test_a_login_does_not_tell_whether_there_is_such_a_tenant(lobby: Lobby, tenant: str) -> None:
    """It begins anywhere, and signs in users of a tenant that is switched on."""
    rustok = lobby.api.rustok
    await rustok.create_tenant("globex")
    initech = await rustok.create_tenant("initech")
    await rustok.run("access.users.create", initech, email="anna@example.com", name="Anna")
    await rustok.run("tenants.tenants.disable", initech)

    refused = assert_problem(await lobby.sign_in(tenant, tenant), 401, "oidc_login_refused")

    assert refused["detail"] == "The provider vouches for somebody who is no user of this tenant."


@pytest.mark.parametrize("field", ["code", "state", "login"])
async def test_what_is_made_up_ends_no_login(lobby: Lobby, field: str) -> None:
    """Each of the three, and none is told from the others."""
    await lobby.a_user()
    begun = await lobby.begin()
    code, state = lobby.provider.sign_in(begun["url"])
    body = {"provider": "example", "code": code, "state": state, "login": begun["login"], field: "made-up"}

    assert_problem(await lobby.post(f"{LOGINS}/end", body), 401, "oidc_login_refused")


async def test_a_provider_that_is_away_is_told_as_that(lobby: Lobby) -> None:
    """503: try again."""
    lobby.provider.answers["/.well-known/openid-configuration"] = b"HTTP/1.1 500 .\r\nContent-Length: 0\r\n\r\n"

    assert_problem(await lobby.post(LOGINS, {"provider": "example"}), 503, "oidc_provider_unavailable")
