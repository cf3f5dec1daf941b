"""The list of worker processes: each says every second that it lives and what it does, and hears what it is to do."""

import asyncio
import os
import socket
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from importlib.metadata import version
from typing import Any, Literal, get_args
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

INTERVAL_S = 1.0
STALLED_AFTER_S = 10.0
"""A worker that was silent for this long is frozen, or its event loop is blocked: others have its jobs by now."""
LOST_AFTER_S = 20.0
"""A worker that was silent for this long is not counted as one any more."""

Wish = Literal["quiet", "stop"]
"""What an operator wants of a worker: to begin nothing, or to end as well when nothing is in hand any more."""
WorkerState = Literal["working", "idle", "quiet", "stalled", "lost"]
WORKER_STATES: tuple[WorkerState, ...] = get_args(WorkerState)

_BEAT = text(
    """
    INSERT INTO workers AS w (id, host, pid, release, rss_bytes, cpu_s, cpu_share, jobs_in_hand, is_quiet, sandbox,
                              started_at, seen_at)
    VALUES (:id, :host, :pid, :release, :rss_bytes, :cpu_s, :cpu_share, :jobs_in_hand, :is_quiet,
            CAST(:sandbox AS jsonb), now(), now())
        ON CONFLICT (id) DO UPDATE SET rss_bytes = excluded.rss_bytes, cpu_s = excluded.cpu_s,
                                       cpu_share = excluded.cpu_share, jobs_in_hand = excluded.jobs_in_hand,
                                       is_quiet = excluded.is_quiet, sandbox = excluded.sandbox,
                                       seen_at = excluded.seen_at
    RETURNING wish,
              (SELECT coalesce(jsonb_agg(jsonb_build_array(id, pid, extract(epoch FROM now() - seen_at))), '[]')
                 FROM workers WHERE host = w.host
                  AND seen_at < now() - make_interval(secs => :stalled_after_s)) AS silent
    """
)
_STRIKE_OFF = text("DELETE FROM workers WHERE id = ANY (CAST(:ids AS uuid[]))")
_LEAVE = text("DELETE FROM workers WHERE id = :id OR seen_at < now() - interval '1 hour'")
_LIST = text(
    """
    SELECT id, host, pid, release, rss_bytes, cpu_s, cpu_share, jobs_in_hand, is_quiet, wish, sandbox, started_at,
           seen_at, CAST(extract(epoch FROM now() - seen_at) AS double precision) AS silent_s
      FROM workers WHERE seen_at > now() - interval '1 hour'
     ORDER BY host, pid
    """
)


@dataclass(frozen=True, slots=True)
class Worker:
    """A worker process as it last said of itself, *silent_s* seconds ago.

    `rss_bytes` and `cpu_s` are of the process alone, `cpu_share` is that of one processor lately; `sandbox` is its
    cage's report, `wish` what an operator wants of it.
    """

    id: UUID
    host: str
    pid: int
    release: str
    rss_bytes: int
    cpu_s: float
    cpu_share: float
    jobs_in_hand: int
    is_quiet: bool
    wish: Wish | None
    sandbox: Mapping[str, Any]
    started_at: datetime
    seen_at: datetime
    silent_s: float

    @property
    def state(self) -> WorkerState:
        """What it is doing. *idle*: no job is in hand, events perhaps; *stalled* and *lost*: silent for so long."""
        if self.silent_s >= STALLED_AFTER_S:
            return "lost" if self.silent_s >= LOST_AFTER_S else "stalled"
        if self.is_quiet:
            return "quiet"
        return "working" if self.jobs_in_hand else "idle"


async def list_workers(engine: AsyncEngine) -> Sequence[Worker]:
    """Return the workers that were heard of within the hour and did not leave; the roles app and system may ask."""
    return [Worker(*row) for row in await run_alone(engine, _LIST)]


async def living_workers(engine: AsyncEngine) -> Sequence[Worker]:
    """Return those that are not lost."""
    return [worker for worker in await list_workers(engine) if worker.state != "lost"]


class Heartbeat:
    """*jobs_in_hand* and *sandbox* tell what this process does and what protects it.

    `wish` is what an operator wanted at the last beat; whoever has made it quiet says so in `is_quiet`.
    """

    def __init__(
        self,
        engine: AsyncEngine,
        clock: Clock,
        sandbox: Callable[[], Mapping[str, Any]],
        jobs_in_hand: Callable[[], int] = lambda: 0,
    ) -> None:
        self._engine = engine
        self._clock = clock
        self._sandbox = sandbox
        self._jobs_in_hand = jobs_in_hand
        self._process = psutil.Process()
        self._host = socket.gethostname()
        self._turn = asyncio.Lock()
        self._has_left = False
        self.id = uuid4()
        self.wish: Wish | None = None
        self.is_quiet = False

    async def run(self) -> None:
        """Beat until cancelled. Whatever fails, it is no reason to look dead."""
        while True:
            try:
                await self.run_once()
            except Exception as error:
                log.warning("heartbeat_missed", reason=describe(error), exc_info=not is_transient(error))
            await self._clock.sleep(INTERVAL_S)

    async def run_once(self) -> None:
        """Say once that this process lives, hear what it is to do, and strike the dead of this host off the list.

        Who has left says nothing any more.
        """
        async with self._turn:
            if not self._has_left:
                await self._beat()

    async def leave(self) -> None:
        """Strike this process off the list, for good, and those that were lost long ago."""
        async with self._turn:
            self._has_left = True
            await run_alone(self._engine, _LEAVE, {"id": self.id})

    async def _beat(self) -> None:
        times = self._process.cpu_times()
        facts = {
            "id": self.id,
            "host": self._host,
            "pid": os.getpid(),
            "release": version("rustok"),
            "rss_bytes": self._process.memory_info().rss,
            "cpu_s": times.user + times.system,
            "cpu_share": self._process.cpu_percent() / 100,
            "jobs_in_hand": self._jobs_in_hand(),
            "is_quiet": self.is_quiet,
            "sandbox": to_json(self._sandbox()),
            "stalled_after_s": STALLED_AFTER_S,
        }
        answer = (await run_alone(self._engine, _BEAT, facts)).one()
        self.wish = answer.wish
        if dead := [worker_id for worker_id, pid, silent_s in answer.silent if _is_dead(pid, silent_s)]:
            await run_alone(self._engine, _STRIKE_OFF, {"ids": dead})


def _is_dead(pid: int, silent_s: float) -> bool:
    """Tell whether there is no such process any more: one that is silent and alive is frozen.

    One that is younger than the silence has got the number of another.
    """
    try:
        process = psutil.Process(pid)
        return bool(process.status() == psutil.STATUS_ZOMBIE or time.time() - process.create_time() < silent_s)
    except psutil.NoSuchProcess:
        return True
