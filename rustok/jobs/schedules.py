"""Jobs that are due again and again, by a cron expression in a time zone."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from sqlalchemy import text

from rustok.db.engine import to_json
from rustok.db.unit_of_work import UnitOfWork
from rustok.jobs.cron import next_due
from rustok.kernel.module import JobKind

Missed = Literal["latest", "all", "skip"]
"""What becomes of moments that passed while no relay looked: one job for the latest of them, a job for each of the last
100, or a job for the latest only if it passed less than a minute ago."""

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
    DELETE FROM schedules
     WHERE tenant_id = :tenant_id AND owner = :owner AND (id NOT IN (SELECT id FROM given) OR due_at = 'infinity')
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

    One that a release could not read, and so is never due again, begins anew.

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
