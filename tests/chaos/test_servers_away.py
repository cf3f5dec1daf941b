"""PostgreSQL or Redis goes away under load: clients are told to come again, and everything resumes by itself."""

import asyncio
import os
import signal
import threading
from collections import Counter
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass, field
from functools import partial
from typing import Self
from uuid import UUID

import httpx2
import pytest

from rustok.cli.api import api_arguments
from rustok.cli.supervisor import ProcessSpec, Supervisor
from rustok.dispatch import Call
from rustok.embedded import (
    PostgresServer,
    RedisServer,
    embedded_postgres,
    embedded_redis,
    free_port,
    temporary_state_dir,
)
from rustok.events.figures import read_figures
from rustok.testing import Database, DatabaseServer, PlatformUnderTest
from rustok.testing.platform import SECRET
from tests.checksums import index_checksums, source_checksums
from tests.waiting import eventually, eventually_async

pytestmark = pytest.mark.deep


@dataclass(frozen=True, slots=True)
class Servers:
    postgres: PostgresServer
    redis: RedisServer


@pytest.fixture
def servers() -> Iterator[Servers]:
    """Servers of this test's own, which keep what they acknowledged."""
    with (
        temporary_state_dir() as state_dir,
        embedded_postgres(state_dir, settings={"fsync": "off"}) as postgres,
        embedded_redis(state_dir) as redis,
    ):
        yield Servers(postgres, redis)


@pytest.fixture
async def database(servers: Servers) -> AsyncIterator[Database]:
    server = DatabaseServer(servers.postgres.admin_url)
    await server.create_template()
    async with server.throw_away() as database:
        yield database


@pytest.fixture
def api_url(servers: Servers, database: Database) -> Iterator[str]:
    """An API, a relay and a worker as processes of their own."""
    port = free_port()
    supervisor = Supervisor(
        {
            **os.environ,
            "RUSTOK_DATABASE_URL": database.app_url,
            "RUSTOK_SYSTEM_DATABASE_URL": database.system_url,
            "RUSTOK_REDIS_URL": servers.redis.url,
            "RUSTOK_SECRET": SECRET,
            "RUSTOK_LOG_LEVEL": "ERROR",
            "RUSTOK_ADMISSION_SOFT_AGE_S": "inf",  # late events, on a slow machine, are not what this is about
            "RUSTOK_ADMISSION_HARD_AGE_S": "inf",
        }
    )
    supervisor.start(ProcessSpec("api", ("-m", "uvicorn", *api_arguments("127.0.0.1", port))))
    supervisor.start(ProcessSpec("relay", ("-m", "workers.relay")))
    supervisor.start(ProcessSpec("worker", ("-m", "workers.main")))
    url = f"http://127.0.0.1:{port}"
    eventually(lambda: answers(url))
    yield url
    supervisor.stop()


async def test_writes_resume_when_postgresql_is_back(servers: Servers, rustok: PlatformUnderTest, api_url: str) -> None:
    """While PostgreSQL is away a write is answered 503 with Retry-After; a retry with its key is done once."""
    tenant = await rustok.create_tenant()
    with Writer(api_url, await a_key(rustok, tenant)) as writer:
        for _outage in range(2):
            await asyncio.to_thread(writer.wait_for, 201, 20)
            servers.postgres.stop_immediately()
            await asyncio.to_thread(writer.wait_for, 503, 3)
            servers.postgres.start()
        await asyncio.to_thread(writer.wait_for, 201, 20)

    await rustok.system_engine.dispose()  # the test's own connections broke too
    await eventually_async(partial(settled, rustok))
    assert set(writer.statuses) == {201, 503}
    assert writer.without_retry_after == 0
    assert (await source_checksums(rustok.system_engine))[tenant][0] == writer.statuses[201]
    assert await index_checksums(rustok.system_engine) == await source_checksums(rustok.system_engine)


async def test_writes_do_not_notice_that_redis_is_away(
    servers: Servers, rustok: PlatformUnderTest, api_url: str
) -> None:
    """Redis moves hints only: without it every write is answered 201, and the index has followed in the end."""
    tenant = await rustok.create_tenant()
    with Writer(api_url, await a_key(rustok, tenant)) as writer:
        await asyncio.to_thread(writer.wait_for, 201, 10)
        servers.redis.stop_immediately()
        await asyncio.to_thread(writer.wait_for, 201, 100)
        servers.redis.start()

    await eventually_async(partial(settled, rustok))
    assert set(writer.statuses) == {201}
    assert await index_checksums(rustok.system_engine) == await source_checksums(rustok.system_engine)


@contextmanager
def stopped(redis: RedisServer) -> Iterator[None]:
    """Connections are refused."""
    redis.stop_immediately()
    yield
    redis.start()


@contextmanager
def hung(redis: RedisServer) -> Iterator[None]:
    """Connections stay open and nobody answers."""
    os.kill(redis.pid, signal.SIGSTOP)
    try:
        yield
    finally:
        os.kill(redis.pid, signal.SIGCONT)


@pytest.mark.parametrize("away", [stopped, hung])
async def test_the_index_follows_while_redis_stays_away(
    servers: Servers,
    rustok: PlatformUnderTest,
    api_url: str,
    away: Callable[[RedisServer], AbstractContextManager[None]],
) -> None:
    """Workers find their work in PostgreSQL after a few seconds, and take messages again once there are some."""
    tenant = await rustok.create_tenant()
    with away(servers.redis):
        with Writer(api_url, await a_key(rustok, tenant)) as writer:
            await asyncio.to_thread(writer.wait_for, 201, 50)
        await eventually_async(partial(settled, rustok))
        assert await index_checksums(rustok.system_engine) == await source_checksums(rustok.system_engine)

    with Writer(api_url, writer.token, first=10_000) as writer:
        await asyncio.to_thread(writer.wait_for, 201, 50)
    await eventually_async(partial(settled, rustok))
    assert await index_checksums(rustok.system_engine) == await source_checksums(rustok.system_engine)


@dataclass
class Writer:
    """Creates products one after the other in a thread, each until it is answered 201."""

    url: str
    token: str
    first: int = 0
    statuses: Counter[int] = field(default_factory=Counter)
    without_retry_after: int = 0

    def __enter__(self) -> Self:
        self._changed = threading.Condition()
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run)
        self._thread.start()
        return self

    def __exit__(self, *_error: object) -> None:
        self._stop.set()
        self._thread.join(30)

    def wait_for(self, status: int, more: int) -> None:
        """Return when *more* answers of this status have come."""
        with self._changed:
            enough = self.statuses[status] + more
            assert self._changed.wait_for(lambda: self.statuses[status] >= enough, 30), self.statuses

    def _run(self) -> None:
        number = self.first
        with httpx2.Client(base_url=self.url, headers={"Authorization": f"Bearer {self.token}"}) as client:
            while not self._stop.is_set():
                answer = client.post(
                    "/api/v1/commerce/products",
                    headers={"Idempotency-Key": f"product-{number}"},
                    json={"status": "active", "translations": {"en": {"title": f"Product {number}"}}},
                    timeout=30,
                )
                with self._changed:
                    self.statuses[answer.status_code] += 1
                    self._changed.notify_all()
                if answer.status_code == 201:
                    number += 1
                elif "Retry-After" in answer.headers:
                    self._stop.wait(0.1)
                else:
                    self.without_retry_after += 1


async def a_key(rustok: PlatformUnderTest, tenant: UUID) -> str:
    call = Call(rustok.registry.commands["access.api_keys.create"], {"name": "writer", "role": "manager"})
    outcome = await rustok.platform.dispatcher.run(call, rustok.context(tenant))
    return str(outcome.result.model_dump()["token"])


def answers(url: str) -> bool:
    try:
        return httpx2.get(f"{url}/health/ready").status_code == 200
    except httpx2.TransportError:
        return False


async def settled(rustok: PlatformUnderTest) -> bool:
    figures = await read_figures(rustok.system_engine)
    return not figures.outbox_pending and not any(consumer.lag_events for consumer in figures.consumers)
