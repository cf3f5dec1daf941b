"""PostgreSQL and a Redis-protocol server for a laptop and for tests: no Docker, no root, no installation."""

from rustok.embedded.errors import (
    AccountMissing,
    DataVersionMismatch,
    EmbeddedServerError,
    NotMainThread,
    ServerBinaryNotFound,
    ServerStartFailed,
    StateInUse,
    StateUnusable,
)
from rustok.embedded.postgres import PostgresServer, embedded_postgres, find_postgres, provide_postgres
from rustok.embedded.process import Server, dies_with_us, free_port
from rustok.embedded.redis import RedisServer, embedded_redis, find_redis, provide_redis
from rustok.embedded.state import default_state_dir, temporary_state_dir

__all__ = [
    "AccountMissing",
    "DataVersionMismatch",
    "EmbeddedServerError",
    "NotMainThread",
    "PostgresServer",
    "RedisServer",
    "Server",
    "ServerBinaryNotFound",
    "ServerStartFailed",
    "StateInUse",
    "StateUnusable",
    "default_state_dir",
    "dies_with_us",
    "embedded_postgres",
    "embedded_redis",
    "find_postgres",
    "find_redis",
    "free_port",
    "provide_postgres",
    "provide_redis",
    "temporary_state_dir",
]
