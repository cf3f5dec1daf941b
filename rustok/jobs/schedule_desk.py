"""What operators ask of schedules, over all tenants, as the role system."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import datetime
from typing import Any, Literal
from uuid import UUID, uuid4

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncEngine

from rustok.db.transaction import begin, run_alone
from rustok.jobs.ledger import Asker, NewJob, enqueue_for
from rustok.jobs.schedules import Missed
from rustok.kernel.module import JobKind

State = Literal["on", "off", "unreadable"]

_CHOSEN = """
    (CAST(:id AS uuid) IS NULL OR s.id = :id)
    AND (CAST(:tenant_id AS uuid) IS NULL OR s.tenant_id = :tenant_id)
    AND (CAST(:owner AS text) IS NULL OR s.owner = :owner)
    AND (CAST(:kind AS text) IS NULL OR s.kind = :kind)
"""
_IS_OF_MODULE_OFF = "is_kind_off(s.tenant_id, s.kind)"
_LIST = text(
    f"""
    SELECT s.id, s.tenant_id, s.owner, s.kind, s.cron, s.timezone, s.missed, NULLIF(s.due_at, 'infinity') AS due_at,
           s.last_due_at, CASE WHEN d.schedule_id IS NOT NULL OR {_IS_OF_MODULE_OFF} THEN 'off'
                               WHEN s.due_at = 'infinity' THEN 'unreadable' ELSE 'on' END AS state,
           coalesce(d.reason, CASE WHEN {_IS_OF_MODULE_OFF} THEN 'its module is off' END) AS reason
      FROM schedules AS s
      LEFT JOIN disabled_schedules AS d ON (d.tenant_id, d.schedule_id) = (s.tenant_id, s.id)
     WHERE {_CHOSEN}
     ORDER BY s.tenant_id, s.owner, s.cron, s.id
    """
)
_CHOOSE = text(
    f"SELECT s.id, s.tenant_id, s.kind, s.args, now() AS now FROM schedules AS s WHERE {_CHOSEN} ORDER BY s.id"
)
# Relays of the release before find what is off by its kind, expression and time zone.
_DISABLE = text(
    f"""
    INSERT INTO disabled_schedules AS d (tenant_id, schedule_id, owner, kind, cron, timezone, reason, disabled_by)
    SELECT tenant_id, id, owner, kind, cron, timezone, CAST(:reason AS text), CAST(:disabled_by AS text)
      FROM schedules AS s WHERE {_CHOSEN}
        ON CONFLICT (tenant_id, schedule_id) DO UPDATE SET reason = coalesce(excluded.reason, d.reason)
    """
)
_ENABLE = text(
    f"""
    DELETE FROM disabled_schedules AS d USING schedules AS s
     WHERE (d.tenant_id, d.schedule_id) = (s.tenant_id, s.id) AND {_CHOSEN}
    """
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Choice:
    """The schedules that fit every given field; all of them, where none is given."""

    id: UUID | None = None
    tenant_id: UUID | None = None
    owner: str | None = None
    kind: str | None = None


@dataclass(frozen=True, slots=True)
class ScheduleRow:
    """A schedule; `last_due_at` is the last moment that became a job, `reason` is why it is off."""

    id: UUID
    tenant_id: UUID
    owner: str
    kind: str
    cron: str
    timezone: str
    missed: Missed
    due_at: datetime | None
    last_due_at: datetime | None
    state: State
    reason: str | None


async def list_schedules(engine: AsyncEngine, choice: Choice) -> list[ScheduleRow]:
    """Return the schedules of *choice*, those of an owner together."""
    return [ScheduleRow(*row) for row in await run_alone(engine, _LIST, asdict(choice))]


async def disable(engine: AsyncEngine, choice: Choice, *, disabled_by: str, reason: str | None = None) -> None:
    """Let moments of these schedules pass without a job, also when their owner writes them anew as they are.

    Whoever switches one off that is off already changes the reason, if there is a new one.
    """
    await run_alone(engine, _DISABLE, {**asdict(choice), "disabled_by": disabled_by, "reason": reason})


async def enable(engine: AsyncEngine, choice: Choice) -> None:
    """Let these schedules make jobs again, from their next moment on."""
    await run_alone(engine, _ENABLE, asdict(choice))


async def make_now(engine: AsyncEngine, choice: Choice, kinds: Mapping[str, JobKind], *, actor: str) -> Sequence[UUID]:
    """Make a job of each of these schedules now, due at this moment, and leave them as they are; return the jobs' ids.

    Those of a kind that is not in *kinds* are left out.
    """
    async with begin(engine, "BEGIN") as (transaction, _):
        rows = (await transaction.execute(_CHOOSE, asdict(choice))).all()
        jobs = [_job(row, kinds[row.kind], actor) for row in rows if row.kind in kinds]
        await enqueue_for(transaction, jobs)
    return [job.id for _, job in jobs]


def _job(row: Any, kind: JobKind, actor: str) -> tuple[Asker, NewJob]:
    asker = Asker(tenant_id=row.tenant_id, actor=actor, correlation_id=uuid4(), causation_id=None)
    return asker, NewJob(kind=kind, args={**row.args, "due_at": row.now})
