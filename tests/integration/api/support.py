"""The HTTP face on a database of its own, and requests with everything that a good one has."""

import math
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from functools import partial
from typing import Any
from uuid import UUID

import asyncpg
import httpx2
from pydantic import SecretStr
from starlette.applications import Starlette

from api.app import build_app
from rustok.catalog import MODULES
from rustok.kernel.ports import Clock
from rustok.settings import Settings
from rustok.testing import Database, DatabaseServer, PlatformUnderTest
from rustok.testing.platform import SECRET
from tests.under_fire import PlatformUnderFire, RepeatingTransport, answered

PRODUCTS = "/api/v1/commerce/products"
UNKNOWN_ID = "01990000-0000-7000-8000-000000000000"


def a_product(**fields: Any) -> dict[str, Any]:
    return {"translations": {"en": {"title": "Red bicycle", "handle": "bike"}}, **fields}


def settings_for(database: Database, **fields: Any) -> Settings:
    """Return settings of an API whose events nobody delivers, and that refuses nobody for it, or for a quota."""
    return Settings(
        environment="test",
        admission_soft_age_s=math.inf,
        admission_hard_age_s=math.inf,
        request_quota="999999/s",
        database_url=SecretStr(database.app_url),
        system_database_url=SecretStr(database.system_url),
        secret=SecretStr(SECRET),
    ).model_copy(update=fields)


@asynccontextmanager
async def serving(app: Starlette) -> AsyncIterator[httpx2.AsyncClient]:
    """Run *app* and yield a client of it."""
    async with (
        app.router.lifespan_context(app),
        httpx2.AsyncClient(transport=httpx2.ASGITransport(app), base_url="http://api.test") as client,
    ):
        yield client


@asynccontextmanager
async def serving_under_fire(build: Callable[[], Starlette]) -> AsyncIterator[httpx2.AsyncClient]:
    """Start what *build* makes as often as it takes, as whoever supervises it does, and yield a client that repeats."""
    async with AsyncExitStack() as stack:

        async def start() -> Starlette:
            app = build()
            await stack.enter_async_context(app.router.lifespan_context(app))
            return app

        transport = RepeatingTransport(httpx2.ASGITransport(await answered(start)))
        yield await stack.enter_async_context(httpx2.AsyncClient(transport=transport, base_url="http://api.test"))


@asynccontextmanager
async def administrator(database: Database) -> AsyncIterator[asyncpg.Connection]:
    connection = await asyncpg.connect(database.admin_url)
    try:
        yield connection
    finally:
        await connection.close()


class ApiUnderTest:
    """One tenant, acme, and a client whose requests carry its owner's key."""

    def __init__(self, rustok: PlatformUnderTest, client: httpx2.AsyncClient, tenant_id: UUID) -> None:
        self.rustok = rustok
        self.database = rustok.database
        self.client = client
        self.tenant_id = tenant_id

    @classmethod
    @asynccontextmanager
    async def open(cls, rustok: PlatformUnderTest, **parts: Any) -> AsyncIterator["ApiUnderTest"]:
        """Serve on the database of *rustok*, made of *parts* (`build_app`)."""
        tenant_id = await rustok.create_tenant()
        parts = {"settings": settings_for(rustok.database), "modules": MODULES, **parts}
        build = partial(build_app, **parts)
        is_under_fire = isinstance(rustok, PlatformUnderFire)
        async with serving_under_fire(build) if is_under_fire else serving(build()) as client:
            api = cls(rustok, client, tenant_id)
            client.headers["Authorization"] = f"Bearer {await api.new_key()}"
            yield api

    @classmethod
    @asynccontextmanager
    async def alone(
        cls,
        server: DatabaseServer,
        clock: Clock | None = None,
        platform_class: type[PlatformUnderTest] = PlatformUnderTest,
    ) -> AsyncIterator["ApiUnderTest"]:
        """Serve on a database of its own."""
        async with (
            server.throw_away() as database,
            platform_class.open(MODULES, database, clock) as rustok,
            cls.open(rustok, clock=clock) as api,
        ):
            yield api

    async def new_key(self, role: str = "owner", tenant_id: UUID | None = None, **fields: Any) -> str:
        """Create an API key and return its token."""
        values = {"name": "a key", "role": role, **fields}
        created = await self.rustok.run("access.api_keys.create", tenant_id or self.tenant_id, **values)
        return str(created.token)

    async def create(self, **fields: Any) -> dict[str, Any]:
        """Create a product and return it."""
        response = await self.client.post(PRODUCTS, json=a_product(**fields))
        assert response.status_code == 201, response.text
        product: dict[str, Any] = response.json()
        return product

    async def post_text(self, body: str | bytes, **headers: str) -> httpx2.Response:
        """Send *body* as it is."""
        return await self.client.post(PRODUCTS, content=body, headers={"Content-Type": "application/json", **headers})


def bearer(token: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {token}"}


def assert_problem(response: httpx2.Response, status: int, code: str) -> dict[str, Any]:
    """Check that *response* is a whole problem with this status and code, and return it."""
    assert (response.status_code, response.headers["content-type"]) == (status, "application/problem+json")
    problem: dict[str, Any] = response.json()
    assert problem.keys() == {
        "type", "title", "status", "detail", "code", "retryable", "request_id", "trace_id", "errors",
    }  # fmt: skip
    assert (problem["status"], problem["code"]) == (status, code), problem
    assert problem["type"] == f"/docs/errors#{code}"
    assert problem["request_id"] == response.headers["x-request-id"]
    return problem


def pointers(problem: dict[str, Any]) -> list[tuple[str, str]]:
    """Return where a problem lies, and what it is there."""
    return [(fault["pointer"], fault["code"]) for fault in problem["errors"]]
