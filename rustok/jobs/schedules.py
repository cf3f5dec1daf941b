"""Jobs that are due again and again, by a cron expression in a time zone."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from sqlalchemy import text

from rustok.db.engine import to_json
from rustok.db.unit_of_work import UnitOfWork
from rustok.jobs.cron import next_due
from rustok.kernel.ids import uuid7
from rustok.kernel.module import JobKind

Missed = Literal["latest", "all", "skip"]
"""What becomes of moments that passed while no relay looked: one job for the latest of them, a job for each of the last
100, or a job for the latest only if it passed less than a minute ago."""

_GIVEN = """
    json_to_recordset(CAST(:schedules AS json)) AS new (
        id uuid, kind text, args jsonb, cron text, timezone text, missed text, due_at timestamptz)
"""
_SAME = "(new.kind, new.args, new.cron, new.timezone, new.missed) = (s.kind, s.args, s.cron, s.timezone, s.missed)"
_FORGET = text(
    f"""
    DELETE FROM schedules AS s
     WHERE tenant_id = :tenant_id AND owner = :owner AND NOT EXISTS (SELECT FROM {_GIVEN} WHERE {_SAME})
    """
)
_INSERT = text(
    f"""
    INSERT INTO schedules (tenant_id, id, owner, kind, args, cron, timezone, missed, due_at, actor)
    SELECT DISTINCT ON (kind, args, cron, timezone, missed)
           :tenant_id, id, :owner, kind, args, cron, timezone, missed, due_at, :actor
      FROM {_GIVEN}
     WHERE NOT EXISTS (SELECT FROM schedules AS s WHERE tenant_id = :tenant_id AND owner = :owner AND {_SAME})
    """
)


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

    Raises InvalidInput as `next_due` does.
    """
    rows = [
        {
            "id": uuid7(),
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
