"""The list of worker processes: each says now and then that it lives, what it uses, and what protects it."""

import os
import socket
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from importlib.metadata import version
from typing import Any
from uuid import UUID, uuid4

import psutil
import structlog
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncEngine

from rustok.db.engine import to_json
from rustok.db.failures import describe, is_transient
from rustok.db.transaction import run_alone
from rustok.kernel.ports import Clock

log = structlog.get_logger(__name__)

INTERVAL_S = 5.0
LOST_AFTER_S = 20.0
"""A worker that was silent for this long is not counted as one any more."""

_BEAT = text(
    """
    INSERT INTO workers (id, host, pid, release, rss_bytes, cpu_s, sandbox, started_at, seen_at)
    VALUES (:id, :host, :pid, :release, :rss_bytes, :cpu_s, CAST(:sandbox AS jsonb), now(), now())
        ON CONFLICT (id) DO UPDATE SET rss_bytes = excluded.rss_bytes, cpu_s = excluded.cpu_s,
                                       sandbox = excluded.sandbox, seen_at = excluded.seen_at
    """
)
_LEAVE = text("DELETE FROM workers WHERE id = :id OR seen_at < now() - interval '1 hour'")
_LIVING = text(
    """
    SELECT id, host, pid, release, rss_bytes, cpu_s, sandbox, started_at, seen_at
      FROM workers WHERE seen_at > now() - make_interval(secs => :lost_after_s)
     ORDER BY host, pid
    """
)


@dataclass(frozen=True, slots=True)
class Worker:
    """A worker process; `rss_bytes` and `cpu_s` are of the process alone, `sandbox` is its cage's report."""

    id: UUID
    host: str
    pid: int
    release: str
    rss_bytes: int
    cpu_s: float
    sandbox: Mapping[str, Any]
    started_at: datetime
    seen_at: datetime


async def living_workers(engine: AsyncEngine) -> Sequence[Worker]:
    """Return the workers that were heard of lately; the roles app and system may ask."""
    return [Worker(*row) for row in await run_alone(engine, _LIVING, {"lost_after_s": LOST_AFTER_S})]


class Heartbeat:
    def __init__(self, engine: AsyncEngine, clock: Clock, sandbox: Callable[[], Mapping[str, Any]]) -> None:
        self._engine = engine
        self._clock = clock
        self._sandbox = sandbox
        self._process = psutil.Process()
        self._id = uuid4()

    async def run(self) -> None:
        """Beat until cancelled. A failing server is waited for."""
        while True:
            try:
                await self.run_once()
            except Exception as error:
                if not is_transient(error):
                    raise
                log.warning("heartbeat_missed", reason=describe(error))
            await self._clock.sleep(INTERVAL_S)

    async def run_once(self) -> None:
        """Say once that this process lives."""
        times = self._process.cpu_times()
        facts = {
            "id": self._id,
            "host": socket.gethostname(),
            "pid": os.getpid(),
            "release": version("rustok"),
            "rss_bytes": self._process.memory_info().rss,
            "cpu_s": times.user + times.system,
            "sandbox": to_json(self._sandbox()),
        }
        await run_alone(self._engine, _BEAT, facts)

    async def leave(self) -> None:
        """Strike this process off the list, and those that were lost long ago."""
        await run_alone(self._engine, _LEAVE, {"id": self._id})
