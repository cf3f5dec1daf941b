"""A relay and a worker in this process, on their own database and an emptied Redis."""

import asyncio
import threading
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager, suppress

import pytest
import redis
from pydantic import SecretStr

from rustok.settings import Settings
from rustok.testing import Database
from tests.waiting import WAIT_S
from workers.main import run_worker
from workers.relay import run_relay


@pytest.fixture
def settings(database: Database, redis_url: str) -> Settings:
    """Settings of processes that work on this test's database."""
    with redis.Redis.from_url(redis_url) as client:
        client.flushall()
    return Settings(
        database_url=SecretStr(database.app_url),
        secret=SecretStr("a secret of the tests, long enough"),
        system_database_url=SecretStr(database.system_url),
        redis_url=SecretStr(redis_url),
        worker_threads=2,
    )


@asynccontextmanager
async def relaying(settings: Settings) -> AsyncIterator[None]:
    task = asyncio.create_task(run_relay(settings))
    try:
        yield
    finally:
        task.cancel()
        with suppress(asyncio.CancelledError):
            await task


@contextmanager
def working(settings: Settings) -> Iterator[threading.Thread]:
    stop = threading.Event()
    thread = threading.Thread(target=run_worker, args=(settings, stop))
    thread.start()
    try:
        yield thread
    finally:
        stop.set()
        thread.join(WAIT_S)
        assert not thread.is_alive(), f"the worker took more than {WAIT_S} s to stop"
