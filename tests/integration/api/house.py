"""A tenant with a user, for tests of signing in."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any, Self

import httpx2

from rustok.testing import FixedClock, PlatformUnderTest
from tests.integration.api.support import PRODUCTS, ApiUnderTest, bearer, settings_for

SESSIONS, USERS = "/api/v1/access/sessions", "/api/v1/access/users"
EMAIL, PASSWORD = "ada@example.com", "correct horse battery staple"
NEW_PASSWORD = "a horse of another colour"
NOBODY = {"Authorization": ""}
BASE = "shops.example"
"""`acme.shops.example` is a host of the tenant acme."""


class House:
    """A tenant with one user, a manager, who has a password; the clock is moved by hand."""

    def __init__(self, api: ApiUnderTest, clock: FixedClock, user_id: str) -> None:
        self.api = api
        self.clock = clock
        self.user_id = user_id

    @classmethod
    @asynccontextmanager
    async def open(cls, rustok: PlatformUnderTest) -> AsyncIterator[Self]:
        clock, settings = FixedClock(), settings_for(rustok.database, tenant_base_domain=BASE)
        async with ApiUnderTest.open(rustok, clock=clock, settings=settings) as api:
            user = await api.client.post(USERS, json={"email": EMAIL, "name": "Ada", "roles": ["manager"]})
            house = cls(api, clock, user.json()["id"])
            answer = await api.client.put(f"{USERS}/{house.user_id}/password", json={"password": PASSWORD})
            assert answer.json()["has_password"], answer.text
            yield house

    async def post(self, path: str, body: dict[str, Any], **headers: str) -> httpx2.Response:
        """Send a request as somebody who has no credential."""
        return await self.api.client.post(path, json=body, headers={**NOBODY, **headers})

    async def try_to_sign_in(
        self, email: str = EMAIL, password: str = PASSWORD, tenant: str = "acme", device: str | None = None
    ) -> httpx2.Response:
        body = {"email": email, "password": password, "device": device}
        return await self.post(SESSIONS, body, **{"X-Tenant": tenant})

    async def change_password(
        self, password: str = PASSWORD, new: str = NEW_PASSWORD, device: str | None = None
    ) -> httpx2.Response:
        body = {"email": EMAIL, "password": password, "new_password": new, "device": device}
        return await self.post("/api/v1/access/passwords", body, **{"X-Tenant": "acme"})

    async def sign_in(self, **fields: str) -> dict[str, Any]:
        answer = await self.try_to_sign_in(**fields)
        assert answer.status_code == 201, answer.text
        tokens: dict[str, Any] = answer.json()
        return tokens

    async def refresh(self, tokens: dict[str, Any]) -> httpx2.Response:
        return await self.post(f"{SESSIONS}/refresh", {"refresh_token": tokens["refresh_token"]})

    async def read(self, tokens: dict[str, Any]) -> httpx2.Response:
        return await self.api.client.get(PRODUCTS, headers=bearer(tokens["access_token"]))

    async def may_read(self, tokens: dict[str, Any]) -> bool:
        return (await self.read(tokens)).status_code == 200
