"""What the scheduler asks of PostgreSQL, as the role system."""

from collections.abc import AsyncIterator, Collection, Sequence
from contextlib import asynccontextmanager

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncEngine

from rustok.db.engine import to_json
from rustok.db.transaction import Transaction, begin
from rustok.jobs.ledger import Asker, NewJob, enqueue_for
from rustok.jobs.scheduler import DueSchedule, Following, HeldSchedules

_DUE = text(
    """
    SELECT s.tenant_id, s.id, s.kind, s.args, s.cron, s.timezone, s.missed, s.due_at, s.last_due_at, s.actor,
           d.schedule_id IS NOT NULL OR is_kind_off(s.tenant_id, s.kind) AS is_off, now() AS now
      FROM schedules AS s
      JOIN tenants ON tenants.id = s.tenant_id AND tenants.is_active
      LEFT JOIN disabled_schedules AS d ON (d.tenant_id, d.schedule_id) = (s.tenant_id, s.id)
     WHERE s.due_at <= now() AND s.kind = ANY (CAST(:kinds AS text[]))
     ORDER BY s.due_at LIMIT 100 FOR UPDATE OF s SKIP LOCKED
    """
)
_ADVANCE = text(
    """
    UPDATE schedules AS s SET due_at = coalesce(f.due_at, 'infinity'), last_due_at = f.last_due_at
      FROM json_to_recordset(CAST(:following AS json)) AS f (
           tenant_id uuid, id uuid, due_at timestamptz, last_due_at timestamptz)
     WHERE s.tenant_id = f.tenant_id AND s.id = f.id
    """
)


class PostgresScheduleStore:
    def __init__(self, engine: AsyncEngine) -> None:
        self._engine = engine

    @asynccontextmanager
    async def hold_due(self, kinds: Collection[str]) -> AsyncIterator[HeldSchedules]:
        async with begin(self._engine, "BEGIN") as (transaction, _):
            rows = await transaction.execute(_DUE, {"kinds": list(kinds)})
            yield _PostgresHeld(transaction, [DueSchedule(*row) for row in rows])


class _PostgresHeld:
    def __init__(self, transaction: Transaction, due: Sequence[DueSchedule]) -> None:
        self.due = due
        self._transaction = transaction

    async def make(self, jobs: Sequence[tuple[Asker, NewJob]]) -> None:
        await enqueue_for(self._transaction, jobs)

    async def advance(self, following: Sequence[Following]) -> None:
        await self._transaction.execute(_ADVANCE, {"following": to_json([f._asdict() for f in following])})
