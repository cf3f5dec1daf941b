"""Jobs that are due again and again, by a cron expression in a time zone."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Literal, NamedTuple
from uuid import uuid4

import structlog
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncEngine

from rustok.db.engine import to_json
from rustok.db.failures import describe, is_transient
from rustok.db.transaction import Transaction, begin
from rustok.db.unit_of_work import UnitOfWork
from rustok.jobs.cron import moments_between, next_due
from rustok.jobs.ledger import Asker, NewJob, enqueue_for
from rustok.kernel.module import JobKind
from rustok.kernel.ports import Clock

log = structlog.get_logger(__name__)

Missed = Literal["latest", "all", "skip"]
"""What becomes of moments that passed while no relay looked: one job for the latest of them, a job for each of the last
100, or a job for the latest only if it passed less than a minute ago."""
GRACE = timedelta(minutes=1)
MOST_MADE_UP = 100

_GIVEN = """
    SELECT schedule_id(CAST(:tenant_id AS uuid), CAST(:owner AS text), kind, args, cron, timezone, missed) AS id,
           given.*
      FROM json_to_recordset(CAST(:schedules AS json)) AS given (
           kind text, args jsonb, cron text, timezone text, missed text, due_at timestamptz)
"""
_FORGET = text(
    f"""
    WITH given AS ({_GIVEN}), forgotten AS (
        DELETE FROM disabled_schedules
         WHERE tenant_id = :tenant_id AND owner = :owner AND schedule_id NOT IN (SELECT id FROM given)
    )
    DELETE FROM schedules WHERE tenant_id = :tenant_id AND owner = :owner AND id NOT IN (SELECT id FROM given)
    """
)
_INSERT = text(
    f"""
    INSERT INTO schedules (tenant_id, id, owner, kind, args, cron, timezone, missed, due_at, actor)
    SELECT :tenant_id, id, :owner, kind, args, cron, timezone, missed, due_at, :actor FROM ({_GIVEN}) AS given
        ON CONFLICT DO NOTHING
    """
)
_SUSPEND = text("DELETE FROM schedules WHERE tenant_id = :tenant_id AND owner = :owner")
_DUE = text(
    """
    SELECT s.tenant_id, s.id, s.kind, s.args, s.cron, s.timezone, s.missed, s.due_at, s.last_due_at, s.actor,
           d.schedule_id IS NOT NULL AS is_off, now() AS now
      FROM schedules AS s
      JOIN tenants ON tenants.id = s.tenant_id AND tenants.is_active
      LEFT JOIN disabled_schedules AS d ON (d.tenant_id, d.schedule_id) = (s.tenant_id, s.id)
     WHERE s.due_at <= now() AND s.kind = ANY (CAST(:kinds AS text[]))
     ORDER BY s.due_at LIMIT 100 FOR UPDATE OF s SKIP LOCKED
    """
)
_ADVANCE = text(
    """
    UPDATE schedules AS s SET due_at = n.due_at, last_due_at = n.last_due_at
      FROM json_to_recordset(CAST(:next AS json)) AS n (
           tenant_id uuid, id uuid, due_at timestamptz, last_due_at timestamptz)
     WHERE s.tenant_id = n.tenant_id AND s.id = n.id
    """
)
_NEVER = "infinity"


@dataclass(frozen=True, slots=True, kw_only=True)
class NewSchedule:
    """`cron` has five fields; they are read in *timezone*, an IANA name, with its changes of the clock."""

    cron: str
    kind: JobKind
    args: Mapping[str, Any]
    timezone: str = "UTC"
    missed: Missed = "latest"


async def set_schedules(uow: UnitOfWork, owner: str, schedules: Sequence[NewSchedule]) -> None:
    """Replace all schedules of *owner* by these. One that the owner has already goes on: what it missed is made up.

    What is written in the same words has the same id, and stays off if an operator has switched it off.
    Raises InvalidInput as `next_due` does.
    """
    rows = [
        {
            "kind": schedule.kind.name,
            "args": schedule.args,
            "cron": schedule.cron,
            "timezone": schedule.timezone,
            "missed": schedule.missed,
            "due_at": next_due(schedule.cron, schedule.timezone, uow.now),
        }
        for schedule in schedules
    ]
    values = {"tenant_id": uow.tenant_id, "owner": owner, "schedules": to_json(rows)}
    await uow.execute(_FORGET, values)
    if rows:
        await uow.execute(_INSERT, {**values, "actor": uow.context.principal.actor})


async def suspend_schedules(uow: UnitOfWork, owner: str) -> None:
    """Take all schedules of *owner* away until it sets them again; what is switched off will still be."""
    await uow.execute(_SUSPEND, {"tenant_id": uow.tenant_id, "owner": owner})


class _Turn(NamedTuple):
    """A schedule that is due: the moments that become jobs, and when it is due again."""

    row: Any
    moments: Sequence[datetime]
    due_at: datetime | str


class Scheduler:
    """Makes the jobs that are due, each once however many relays look.

    The schedule's row is held meanwhile, and the jobs and its next moment are committed together.
    """

    def __init__(
        self, kinds: Mapping[str, JobKind], engine: AsyncEngine, clock: Clock, interval_s: float = 1.0
    ) -> None:
        self._kinds = kinds
        self._engine = engine
        self._clock = clock
        self._interval_s = interval_s

    async def run(self) -> None:
        """Look until cancelled. A failing server is waited for."""
        while True:
            try:
                await self.run_once()
            except Exception as error:
                if not is_transient(error):
                    raise
                log.warning("scheduler_waited", reason=describe(error))
            await self._clock.sleep(self._interval_s)

    async def run_once(self) -> int:
        """Make what is due now and return how many schedules that were."""
        async with begin(self._engine, "BEGIN") as (transaction, _):
            due = [_turn(row) for row in await transaction.execute(_DUE, {"kinds": list(self._kinds)})]
            await enqueue_for(transaction, [self._job(turn.row, moment) for turn in due for moment in turn.moments])
            await _advance(transaction, due)
        return len(due)

    def _job(self, row: Any, moment: datetime) -> tuple[Asker, NewJob]:
        asker = Asker(tenant_id=row.tenant_id, actor=row.actor, correlation_id=uuid4(), causation_id=None)
        # With a key, or they would pile up while no worker runs.
        key = None if row.missed == "all" else str(row.id)
        return asker, NewJob(kind=self._kinds[row.kind], args={**row.args, "due_at": moment}, dedup_key=key)


def _turn(row: Any) -> _Turn:
    """Return what is to be done for *row*: it is never due again, if this release cannot read it any more."""
    try:
        following = next_due(row.cron, row.timezone, row.now)
        passed = [row.due_at, *moments_between(row.cron, row.timezone, row.due_at, row.now, MOST_MADE_UP)]
        return _Turn(row, () if row.is_off else _made_up(row.missed, passed, row.now), following)
    except Exception:
        # One tenant's schedule must not stop those of the others. It is due again when somebody writes it anew.
        log.exception("schedule_parked", tenant_id=str(row.tenant_id), schedule_id=str(row.id))
        return _Turn(row, () if row.is_off else (row.due_at,), _NEVER)


def _made_up(missed: Missed, passed: Sequence[datetime], now: datetime) -> Sequence[datetime]:
    if missed == "all":
        return passed[-MOST_MADE_UP:]
    if missed == "skip" and now - passed[-1] > GRACE:
        return ()
    return passed[-1:]


async def _advance(transaction: Transaction, due: Sequence[_Turn]) -> None:
    rows = [
        {
            "tenant_id": turn.row.tenant_id,
            "id": turn.row.id,
            "due_at": turn.due_at,
            "last_due_at": turn.moments[-1] if turn.moments else turn.row.last_due_at,
        }
        for turn in due
    ]
    if rows:
        await transaction.execute(_ADVANCE, {"next": to_json(rows)})
