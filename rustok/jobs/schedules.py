"""Jobs that are due again and again, by a cron expression in a time zone."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import cache
from importlib import resources
from typing import Any
from uuid import uuid4
from zoneinfo import ZoneInfo

import structlog
from cronsim import CronSim, CronSimError
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncEngine

from rustok.db.engine import to_json
from rustok.db.failures import describe, is_transient
from rustok.db.transaction import Transaction, begin
from rustok.db.unit_of_work import UnitOfWork
from rustok.jobs.ledger import Asker, NewJob, enqueue_for
from rustok.kernel.errors import InvalidInput
from rustok.kernel.ids import uuid7
from rustok.kernel.module import JobKind
from rustok.kernel.ports import Clock

log = structlog.get_logger(__name__)

_FORGET = text("DELETE FROM schedules WHERE tenant_id = :tenant_id AND owner = :owner")
_INSERT = text(
    """
    INSERT INTO schedules (tenant_id, id, owner, kind, args, cron, timezone, due_at, actor)
    SELECT :tenant_id, id, :owner, kind, args, cron, timezone, due_at, :actor
      FROM json_to_recordset(CAST(:schedules AS json)) AS s (
           id uuid, kind text, args jsonb, cron text, timezone text, due_at timestamptz)
    """
)
_DUE = text(
    """
    SELECT s.tenant_id, s.id, s.kind, s.args, s.cron, s.timezone, s.due_at, s.actor, now() AS now
      FROM schedules AS s JOIN tenants ON tenants.id = s.tenant_id AND tenants.is_active
     WHERE s.due_at <= now() AND s.kind = ANY (CAST(:kinds AS text[]))
     ORDER BY s.due_at LIMIT 100 FOR UPDATE OF s SKIP LOCKED
    """
)
_NEVER = "infinity"
_CRON_FIELDS = 5

_ADVANCE = text(
    """
    UPDATE schedules AS s SET due_at = n.due_at
      FROM json_to_recordset(CAST(:next AS json)) AS n (tenant_id uuid, id uuid, due_at timestamptz)
     WHERE s.tenant_id = n.tenant_id AND s.id = n.id
    """
)


@dataclass(frozen=True, slots=True, kw_only=True)
class NewSchedule:
    """`cron` has five fields; they are read in *timezone*, an IANA name, with its changes of the clock."""

    cron: str
    kind: JobKind
    args: Mapping[str, Any]
    timezone: str = "UTC"


def next_due(cron: str, timezone: str, after: datetime) -> datetime:
    """Return the first moment after *after* that the expression means.

    Raises:
        InvalidInput: it is no cron expression, or means no moment at all; there is no such time zone.

    """
    if timezone not in _zone_names():
        raise InvalidInput(f"There is no time zone {timezone!r}: write an IANA name, such as Europe/Berlin.")
    try:
        return next(_moments(cron, after.astimezone(_zone(timezone)))).astimezone(UTC)
    except (CronSimError, StopIteration, ValueError) as error:
        raise InvalidInput(f"{cron!r} is no cron expression: write five fields, such as `0 7 * * 1-5`.") from error


def _moments(cron: str, after: datetime) -> CronSim:
    if len(cron.split()) != _CRON_FIELDS:  # CronSim takes a sixth one, of seconds
        raise CronSimError("Wrong number of fields")
    return CronSim(cron, after)


async def set_schedules(uow: UnitOfWork, owner: str, schedules: Sequence[NewSchedule]) -> None:
    """Replace all schedules of *owner* by these. Raises InvalidInput as `next_due` does."""
    rows = [
        {
            "id": uuid7(),
            "kind": schedule.kind.name,
            "args": schedule.args,
            "cron": schedule.cron,
            "timezone": schedule.timezone,
            "due_at": next_due(schedule.cron, schedule.timezone, uow.now),
        }
        for schedule in schedules
    ]
    await uow.execute(_FORGET, {"tenant_id": uow.tenant_id, "owner": owner})
    if rows:
        values = {"owner": owner, "actor": uow.context.principal.actor, "schedules": to_json(rows)}
        await uow.execute(_INSERT, {"tenant_id": uow.tenant_id, **values})


class Scheduler:
    """Makes the jobs that are due, each once however many relays look: the schedule's row is held meanwhile.

    Moments that passed while nobody looked become one job: the latest state of affairs is what a late one sees.
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
            due = (await transaction.execute(_DUE, {"kinds": list(self._kinds)})).all()
            await enqueue_for(transaction, [self._job(row) for row in due])
            await _advance(transaction, due)
        return len(due)

    def _job(self, row: Any) -> tuple[Asker, NewJob]:
        asker = Asker(tenant_id=row.tenant_id, actor=row.actor, correlation_id=uuid4(), causation_id=None)
        args = {**row.args, "due_at": row.due_at}
        # With a key, or they would pile up while no worker runs.
        return asker, NewJob(kind=self._kinds[row.kind], args=args, dedup_key=str(row.id))


async def _advance(transaction: Transaction, due: Sequence[Any]) -> None:
    following = [{"tenant_id": row.tenant_id, "id": row.id, "due_at": _following(row)} for row in due]
    if following:
        await transaction.execute(_ADVANCE, {"next": to_json(following)})


def _following(row: Any) -> datetime | str:
    """Return when *row* is due again: never, if this release cannot read it any more."""
    try:
        return next_due(row.cron, row.timezone, row.now)
    except Exception:
        # One tenant's schedule must not stop those of the others. It is due again when somebody writes it anew.
        log.exception("schedule_parked", tenant_id=str(row.tenant_id), schedule_id=str(row.id))
        return _NEVER


@cache
def _zone_names() -> frozenset[str]:
    """Return the IANA names of the pinned package: the machine's own files hold others, such as `localtime`."""
    return frozenset((resources.files("tzdata") / "zones").read_text().split())


@cache
def _zone(name: str) -> ZoneInfo:
    with resources.files("tzdata").joinpath("zoneinfo", *name.split("/")).open("rb") as file:
        return ZoneInfo.from_file(file, key=name)
