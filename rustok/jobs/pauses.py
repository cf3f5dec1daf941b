"""What operators keep workers from beginning: a queue, a kind, a tenant, or what is all of these."""

from dataclasses import asdict, dataclass
from datetime import datetime
from uuid import UUID

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncEngine

from rustok.db.transaction import run_alone

_PAUSE = text(
    """
    INSERT INTO job_pauses (queue, kind, tenant_id, reason, paused_by)
    VALUES (:queue, :kind, :tenant_id, :reason, :paused_by)
        ON CONFLICT (queue, kind, tenant_id) DO UPDATE SET reason = coalesce(excluded.reason, job_pauses.reason)
    """
)
_RESUME = text(
    """
    DELETE FROM job_pauses
     WHERE (queue, kind, tenant_id) IS NOT DISTINCT FROM (CAST(:queue AS text), CAST(:kind AS text),
                                                          CAST(:tenant_id AS uuid))
    """
)
_LIST = text("SELECT queue, kind, tenant_id, reason, paused_by, paused_at FROM job_pauses ORDER BY paused_at")


@dataclass(frozen=True, slots=True, kw_only=True)
class Scope:
    """The jobs that fit every given field; all of them, where none is given."""

    queue: str | None = None
    kind: str | None = None
    tenant_id: UUID | None = None


@dataclass(frozen=True, slots=True)
class Pause:
    """A scope, and who has paused it when."""

    queue: str | None
    kind: str | None
    tenant_id: UUID | None
    reason: str | None
    paused_by: str
    paused_at: datetime


async def pause(engine: AsyncEngine, scope: Scope, *, paused_by: str, reason: str | None = None) -> None:
    """Let no job of *scope*, of one field at least, be leased. What a worker has leased goes on; what waits stays.

    Pausing twice is pausing once; a reason takes the place of the one before.
    """
    await run_alone(engine, _PAUSE, {**asdict(scope), "reason": reason, "paused_by": paused_by})


async def resume(engine: AsyncEngine, scope: Scope) -> bool:
    """Take the pause of exactly this *scope* back; tell whether there was one. Others go on to hold."""
    return (await run_alone(engine, _RESUME, asdict(scope))).rowcount > 0


async def list_pauses(engine: AsyncEngine) -> list[Pause]:
    """Return what is paused, the oldest pause first."""
    return [Pause(*row) for row in await run_alone(engine, _LIST)]
