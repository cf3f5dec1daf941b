"""Processes to be killed."""

import os
from collections.abc import Iterator

import pytest
import redis

from rustok.cli.supervisor import ProcessSpec, Supervisor
from rustok.testing import Database
from rustok.testing.platform import SECRET


@pytest.fixture
def processes(database: Database, redis_url: str) -> Iterator[Supervisor]:
    """Two relays and two workers, as `rustok relay` and `rustok worker` run them."""
    with redis.Redis.from_url(redis_url) as client:
        client.flushall()
    supervisor = Supervisor(
        {
            **os.environ,
            "RUSTOK_DATABASE_URL": database.app_url,
            "RUSTOK_SYSTEM_DATABASE_URL": database.system_url,
            "RUSTOK_SECRET": SECRET,
            "RUSTOK_REDIS_URL": redis_url,
            "RUSTOK_LOG_LEVEL": "ERROR",
            "RUSTOK_WORKER_THREADS": "2",
        }
    )
    for number in (1, 2):
        supervisor.start(ProcessSpec(f"relay {number}", ("-m", "workers.relay")))
        supervisor.start(ProcessSpec(f"worker {number}", ("-m", "workers.main")))
    yield supervisor
    supervisor.stop()
