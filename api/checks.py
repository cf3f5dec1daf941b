"""The servers that this process looks at when it is asked for its health."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from functools import lru_cache

import asyncpg
from redis.asyncio import Redis
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff

from api.health import CHECK_TIMEOUT_S, Check, NotReady
from rustok.db.migrate import script_directory


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


def _postgresql(url: str) -> Callable[[], Awaitable[None]]:
    async def probe() -> None:
        async with _connection(url) as connection:
            await connection.execute("SELECT 1")

    return probe


def _migrations(url: str) -> Callable[[], Awaitable[None]]:
    async def probe() -> None:
        known, head = await asyncio.to_thread(_revisions)
        async with _connection(url) as connection:
            current = await _current_revision(connection)
        # A revision from after this build is fine: a new release migrates while the old one still serves.
        if current is None or (current in known and current != head):
            raise NotReady("the database lacks migrations: run `rustok db migrate`")

    return probe


async def _current_revision(connection: asyncpg.Connection) -> str | None:
    try:
        revision: str | None = await connection.fetchval("SELECT version_num FROM alembic_version")
    except asyncpg.UndefinedTableError:
        return None
    except asyncpg.InsufficientPrivilegeError:
        raise NotReady("this process may not read alembic_version: run `rustok db migrate`") from None
    return revision


@lru_cache(maxsize=1)
def _revisions() -> tuple[frozenset[str], str | None]:
    """Return the migrations of this build, and the newest; they are files, read once."""
    script = script_directory()
    return frozenset(r.revision for r in script.walk_revisions()), script.get_current_head()


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
