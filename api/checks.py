"""What this process looks at when it is asked for its health: its servers, and who runs scripts."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager

import asyncpg
from redis.asyncio import Redis
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff
from sqlalchemy.ext.asyncio import AsyncEngine

from api.health import CHECK_TIMEOUT_S, Check, Facts, NotReady
from rustok.db.migrate import LACKING, lacks_migrations
from rustok.jobs.heartbeat import Worker, living_workers

_PROTECTED = ("A", "B", "C")
"""The levels of a cage at which scripts run, and are held (`rustok/sandbox/contract.py`)."""


def server_checks(database_url: str, redis_url: str | None) -> list[Check]:
    """Return the checks of PostgreSQL and, where there is a *redis_url*, of Redis.

    Each look at PostgreSQL is a connection of its own: a busy pool is no reason to take a process away.
    """
    checks = [
        Check(name="postgresql", criticality="critical", probe=_postgresql(database_url)),
        Check(name="migrations", criticality="critical", probe=_migrations(database_url)),
    ]
    if redis_url is not None:
        checks.append(Check(name="redis", criticality="non_critical", probe=_redis(redis_url)))
    return checks


def scripts_check(engine: AsyncEngine) -> Check:
    """Return the check of module alloy: is there a worker, and is each one protected from what it runs."""

    async def probe() -> Facts:
        workers = await living_workers(engine)
        facts = {"sandbox": [_sandbox(worker) for worker in workers]}
        if reason := _unprotected(workers):
            raise NotReady(reason, facts)
        return facts

    return Check(name="alloy", kind="module", criticality="non_critical", probe=probe)


def _sandbox(worker: Worker) -> Facts:
    report = worker.sandbox
    return {"host": worker.host, "pid": worker.pid, "level": report["level"], "layers": report["layers"]}


def _unprotected(workers: Sequence[Worker]) -> str | None:
    """Return why scripts wait, or run at their host's peril."""
    if not workers:
        return "no worker was heard of: scripts wait until `rustok worker` runs"
    levels = {worker.sandbox["level"] for worker in workers}.difference(_PROTECTED)
    if not levels:
        return None
    return f"the sandbox of a worker has the level {' and '.join(sorted(levels))}: run `rustok doctor` there"


def _postgresql(url: str) -> Callable[[], Awaitable[None]]:
    async def probe() -> None:
        async with _connection(url) as connection:
            await connection.execute("SELECT 1")

    return probe


def _migrations(url: str) -> Callable[[], Awaitable[None]]:
    async def probe() -> None:
        async with _connection(url) as connection:
            current = await _current_revision(connection)
        if await asyncio.to_thread(lacks_migrations, current):
            raise NotReady(LACKING)

    return probe


async def _current_revision(connection: asyncpg.Connection) -> str | None:
    try:
        revision: str | None = await connection.fetchval("SELECT version_num FROM alembic_version")
    except asyncpg.UndefinedTableError:
        return None
    except asyncpg.InsufficientPrivilegeError:
        raise NotReady("this process may not read alembic_version: run `rustok db migrate`") from None
    return revision


def _redis(url: str) -> Callable[[], Awaitable[None]]:
    async def probe() -> None:
        client = Redis.from_url(url, socket_timeout=CHECK_TIMEOUT_S, retry=Retry(NoBackoff(), 0))
        try:
            await client.ping()
        finally:
            await client.aclose()

    return probe


@asynccontextmanager
async def _connection(url: str) -> AsyncIterator[asyncpg.Connection]:
    connection = await asyncpg.connect(url, timeout=CHECK_TIMEOUT_S)
    try:
        yield connection
    finally:
        connection.terminate()
