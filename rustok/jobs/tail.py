"""Jobs as they begin and end, for whoever watches."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from datetime import datetime, timedelta
from typing import Literal, get_args
from uuid import UUID

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncEngine

from rustok.db.transaction import run_alone
from rustok.jobs.desk import CHOSEN
from rustok.jobs.pauses import Scope

Change = Literal["running", "done", "cancelled", "discarded", "dead"]
"""What becomes of a job: an attempt began, or the job ended, or was given up."""
CHANGES: tuple[Change, ...] = get_args(Change)

_NOW = text("SELECT now()")
_CHANGED = text(
    f"""
    SELECT * FROM (
        SELECT now() AS at, id, tenant_id, queue, kind, 'running' AS state, attempts, NULL AS error
          FROM jobs {CHOSEN} AND state = 'leased'
        UNION ALL
        SELECT due_at, id, tenant_id, queue, kind, 'dead', attempts, error ->> 'code'
          FROM jobs {CHOSEN} AND state = 'dead' AND due_at >= :since
        UNION ALL
        SELECT finished_at, id, tenant_id, queue, kind, outcome, attempts, NULL
          FROM finished_jobs {CHOSEN} AND finished_at >= :since
    ) AS changed
     WHERE CAST(:state AS text) IS NULL OR state = :state
     ORDER BY at, id
    """
)
_OVERLAP = timedelta(seconds=30)
"""How far each look goes back behind the one before: an end has the time at which its transaction began."""


@dataclass(frozen=True, slots=True)
class ChangedJob:
    """A job that began or ended at about *at*; `attempts` counts from 1, `error` is the code of why it was given up."""

    at: datetime
    id: UUID
    tenant_id: UUID
    queue: str
    kind: str
    state: Change
    attempts: int
    error: str | None


class JobTail:
    """Tells of each change once. An attempt that begins and ends between two looks is told of by its end alone."""

    def __init__(self, engine: AsyncEngine, scope: Scope, state: Change | None) -> None:
        self._engine = engine
        self._values = {**asdict(scope), "state": state}
        self._last_look: datetime | None = None
        self._told: set[tuple[UUID, Change, int]] = set()

    async def look(self) -> Sequence[ChangedJob]:
        """Return what has changed since the look before, oldest first; the first time, what runs."""
        now = (await run_alone(self._engine, _NOW)).scalar_one()
        since = (self._last_look or now) - _OVERLAP
        found = [ChangedJob(*row) for row in await run_alone(self._engine, _CHANGED, {**self._values, "since": since})]
        is_first, self._last_look = self._last_look is None, now
        told, self._told = self._told, {_key(job) for job in found}
        return [job for job in found if (job.state == "running" or not is_first) and _key(job) not in told]


def _key(job: ChangedJob) -> tuple[UUID, Change, int]:
    return job.id, job.state, job.attempts
