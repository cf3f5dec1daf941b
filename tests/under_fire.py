"""A platform whose connections may fail, and everybody's way to live with it: come again."""

from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from http import HTTPStatus
from typing import Any, Self, TypeVar
from uuid import UUID

import httpx2
from sqlalchemy.ext.asyncio import AsyncEngine

from rustok.bootstrap import Platform
from rustok.db.engine import open_engine
from rustok.db.failures import is_transient
from rustok.db.idempotency import IdempotencyKey, RequestInProgress
from rustok.dispatch import Call
from rustok.kernel.event import LoggedEvent
from rustok.kernel.ids import uuid7
from rustok.kernel.module import Module
from rustok.kernel.ports import Clock
from rustok.testing import Database, PlatformUnderTest
from tests.faults import UNDER_FIRE

Answer = TypeVar("Answer")


class PlatformUnderFire(PlatformUnderTest):
    """What `run`, `query`, `events` and `settle` do has connections that fail; all else in a test has steady ones."""

    failing: Platform
    failing_system_engine: AsyncEngine
    """Of both, a test may make workers."""

    @classmethod
    @asynccontextmanager
    async def open(
        cls, modules: Sequence[Module], database: Database, clock: Clock | None = None
    ) -> AsyncIterator[Self]:
        async with (
            PlatformUnderTest.open(modules, database, clock) as steady,
            open_engine(database.app_url, application_name=UNDER_FIRE) as app_engine,
            open_engine(database.system_url, application_name=UNDER_FIRE) as system_engine,
        ):
            platform = cls(modules, database, app_engine, system_engine, steady.clock)
            platform.failing, platform.failing_system_engine = platform.platform, system_engine
            platform.platform = steady.platform
            platform.app_engine, platform.system_engine = steady.app_engine, steady.system_engine
            yield platform

    async def run(self, command: str, tenant_id: UUID, *, seen: int | None = None, **fields: Any) -> Any:
        """Run a command as a client does that repeats it, with the same key, until it hears an answer."""
        call = Call(self.registry.commands[command], fields, seen)
        key = IdempotencyKey(str(uuid7()), command, repr(fields).encode())
        outcome = await answered(lambda: self.failing.dispatcher.run(call, self.context(tenant_id), key))
        return outcome.result

    async def query(self, query: str, tenant_id: UUID, **arguments: Any) -> Any:
        asked = self.registry.queries[query]
        return await answered(lambda: self.failing.dispatcher.query(asked, arguments, self.context(tenant_id)))

    async def events(self) -> list[LoggedEvent]:
        return await answered(super().events)

    async def settle(self) -> None:
        """Sequence and consume as relays and workers do: what failed is looked at again."""
        await answered(super().settle)


def engine_of_processes(platform: PlatformUnderTest) -> AsyncEngine:
    """Return what relays, workers and commands of operators connect with; it fails under fire."""
    return platform.failing_system_engine if isinstance(platform, PlatformUnderFire) else platform.system_engine


async def insist(platform: PlatformUnderTest, work: Callable[[], Awaitable[Answer]]) -> Answer:
    """Do *work*, under fire until it ends otherwise than by a fault."""
    return await (answered(work) if isinstance(platform, PlatformUnderFire) else work())


class RepeatingTransport(httpx2.AsyncBaseTransport):
    """A client that sends a request again, a POST with the same Idempotency-Key, until the API can answer it."""

    def __init__(self, transport: httpx2.AsyncBaseTransport) -> None:
        self._transport = transport

    async def handle_async_request(self, request: httpx2.Request) -> httpx2.Response:
        if request.method == "POST":
            request.headers.setdefault("Idempotency-Key", str(uuid7()))
        again = {"unavailable"}
        while True:
            response = await self._transport.handle_async_request(request)
            if not await _codes(response, is_batch=request.url.path.endswith(":batch")) & again:
                return response
            again.add(RequestInProgress.code)


async def _codes(response: httpx2.Response, *, is_batch: bool) -> set[str]:
    """Return the code of a problem, or those of the items of a batch; no other answer is read."""
    is_problem = response.headers.get("content-type") == "application/problem+json"
    if not is_problem and not is_batch:
        return set()
    if not await response.aread():  # it answers a HEAD, whose client has the status alone
        return {"unavailable"} if response.status_code == HTTPStatus.SERVICE_UNAVAILABLE else set()
    told = response.json()
    return {told["code"]} if is_problem else {each["problem"]["code"] for each in told["results"] if "problem" in each}


async def answered(work: Callable[[], Awaitable[Answer]]) -> Answer:
    """Do *work* until it ends otherwise than by a fault. A request without an answer may still be running."""
    while True:
        try:
            return await work()
        except Exception as error:
            if not is_transient(error) and not isinstance(error, RequestInProgress):
                raise
