"""A server of which one process crashes recovers and goes on: `look_for_jobs` has to notice it."""

import os
import signal
from datetime import datetime
from pathlib import Path

import asyncpg

from migrations.m20261126_jobs_013_pass_over_dead_entries import STARTED_AT
from rustok.embedded import embedded_postgres
from tests.waiting import eventually_async


async def test_a_crash_of_one_process_of_the_server_is_noticed(state_dir: Path) -> None:
    """There is no new start of the server, and leases may be lost that it had told of."""
    with embedded_postgres(state_dir, durable=False) as server:
        before = await _started_at(server.admin_url)
        connection = await asyncpg.connect(server.admin_url)
        os.kill(await connection.fetchval("SELECT pg_backend_pid()"), signal.SIGKILL)

        async def is_noticed() -> bool:
            try:
                return await _started_at(server.admin_url) > before
            except (asyncpg.PostgresError, OSError):  # it recovers
                return False

        await eventually_async(is_noticed)


async def _started_at(url: str) -> datetime:
    connection = await asyncpg.connect(url)
    try:
        started_at: datetime = await connection.fetchval(f"SELECT {STARTED_AT}")
    finally:
        await connection.close()
    return started_at
