"""Connections to PostgreSQL: one bounded pool a process."""

from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from typing import Any
from uuid import UUID

import orjson
from sqlalchemy import event, make_url
from sqlalchemy.exc import DisconnectionError
from sqlalchemy.ext.asyncio import AsyncEngine, create_async_engine

from rustok.db.fair_pool import FairPool


def create_engine(
    url: str,
    *,
    pool_size: int = 5,
    pool_timeout_s: float = 5.0,
    statement_timeout_s: float = 25.0,
    idle_in_transaction_timeout_s: float = 5.0,
    reply_timeout_s: float = 30.0,
    settings: Mapping[str, str] | None = None,
    application_name: str = "rustok",
) -> AsyncEngine:
    """Return an engine whose pool opens connections when they are first needed.

    Pooled connections are not tested before use: one that the server has closed is replaced, one that has
    become silent costs one failed transaction, which the caller answers with `unavailable`.

    Args:
        statement_timeout_s: PostgreSQL cancels a statement after this long, also of a process that has stopped.
        idle_in_transaction_timeout_s: PostgreSQL ends a session that leaves a transaction alone for this long.
        reply_timeout_s: this process gives up a server that has not answered for this long: one that froze, or
            whose network is gone, says nothing.
        settings: further ones of PostgreSQL, for each of its sessions.

    """
    server_settings = {
        "application_name": application_name,
        "jit": "off",
        "timezone": "UTC",
        # Lock, then read: the reading statement must see what was committed while it waited for the lock.
        "default_transaction_isolation": "read committed",
        # A process that stopped or lost its network, in the middle of a statement or between two, must not keep its
        # locks.
        "statement_timeout": str(int(statement_timeout_s * 1000)),
        "idle_in_transaction_session_timeout": str(int(idle_in_transaction_timeout_s * 1000)),
        "tcp_keepalives_idle": "5",
        "tcp_keepalives_interval": "2",
        "tcp_keepalives_count": "3",
    }
    server_settings |= settings or {}
    engine = create_async_engine(
        async_url(url),
        poolclass=FairPool,
        pool_size=pool_size,
        max_overflow=0,
        pool_timeout=pool_timeout_s,
        pool_use_lifo=True,
        json_serializer=_json_dumps,
        json_deserializer=orjson.loads,
        connect_args={"server_settings": server_settings, "timeout": 5, "command_timeout": reply_timeout_s},
    )
    event.listen(engine.sync_engine, "checkout", _refuse_closed)
    return engine


@asynccontextmanager
async def open_engine(url: str, **options: Any) -> AsyncIterator[AsyncEngine]:
    """Open an engine with the options of `create_engine`; close its connections on leaving."""
    engine = create_engine(url, **options)
    try:
        yield engine
    finally:
        await engine.dispose()


def _refuse_closed(connection: Any, *_arguments: object) -> None:
    """Have the pool open another connection in the place of a closed one."""
    if connection.driver_connection.is_closed():
        raise DisconnectionError


def async_url(url: str) -> Any:
    """Return *url* (`postgresql://...`) with the asyncpg driver."""
    return make_url(url).set(drivername="postgresql+asyncpg")


def to_json(value: Any) -> str:
    """Return *value* as JSON text for a `jsonb` parameter."""
    return _json_dumps(value)


def _json_dumps(value: Any) -> str:
    return orjson.dumps(value, default=_plain).decode()


def _plain(value: Any) -> Any:
    if isinstance(value, UUID):  # subclasses, such as asyncpg's own, are unknown to orjson
        return str(value)
    raise TypeError(f"{type(value).__name__} has no JSON form")
