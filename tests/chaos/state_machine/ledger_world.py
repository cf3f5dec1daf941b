"""The real ledger on PostgreSQL, with a table of effects, for a machine that is not asynchronous."""

import asyncio
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import asynccontextmanager, suppress
from itertools import count
from uuid import UUID

import asyncpg
from sqlalchemy import text

from rustok.db.transaction import begin
from rustok.events.dead_letters import Choice
from rustok.jobs import Asker, Leased, enqueue_for
from rustok.jobs.dead_jobs import discard_page, redrive_page
from rustok.jobs.ledger import finish_all, redrive, report
from rustok.kernel.ids import uuid7
from rustok.testing import Database
from tests.chaos.state_machine.ledger_model import Asked, Row
from tests.chaos.state_machine.world import World
from tests.integration.events.log import connected
from tests.integration.jobs.ledger import Ledger, open_ledger

LEASE_S = 600.0
"""Leases run out when a rule says so, and never by themselves."""

_EFFECT = text("INSERT INTO job_effects SELECT unnest(CAST(:ids AS uuid[]))")
_ROWS = """
    SELECT id, state, attempts, (SELECT count(*) FROM job_effects AS e WHERE e.job_id = j.id),
           state = 'ready' AND due_at <= now(), lease_token, coalesce(lease_expires_at < now(), false), is_cancelled,
           dedup_key
      FROM jobs AS j
    UNION ALL
    SELECT id, outcome, attempts, (SELECT count(*) FROM job_effects AS e WHERE e.job_id = f.id),
           false, NULL, false, false, NULL
      FROM finished_jobs AS f
"""
_RUN_OUT = "UPDATE jobs SET lease_expires_at = now() - interval '1 second' WHERE id = ANY ($1) AND state = 'leased'"
_WAITING = """
    SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'
"""
_HOLD = "SELECT FROM jobs WHERE id = $1 FOR UPDATE"


class LedgerWorld(World):
    def __init__(self, runner: asyncio.Runner, admin: asyncpg.Connection, ledger: Ledger) -> None:
        super().__init__(runner, admin)
        self.ledger = ledger
        self.store = ledger.store
        self.engine = ledger.platform.system_engine
        self.tenants = (ledger.tenant_id, ledger.other_tenant_id)
        self._first_id = uuid7().int >> 32 << 32

    def ids(self) -> Iterator[UUID]:
        """Return the ids of the jobs of an example, in their order: the same for each, or none could be repeated."""
        return (UUID(int=self._first_id + number) for number in count(1))

    async def forget(self) -> None:
        """Empty the ledger."""
        await self.admin.execute("TRUNCATE jobs, finished_jobs, job_pauses, job_limits, job_effects")

    async def enqueue(self, asked: Sequence[Asked], *, commits: bool) -> None:
        with suppress(ZeroDivisionError):
            async with begin(self.engine, "BEGIN") as (transaction, _):
                await enqueue_for(transaction, [(_asker(one.tenant_id), one.job) for one in asked])
                if not commits:
                    raise ZeroDivisionError

    async def grant_twice_beside(self, ids: Sequence[UUID], held: UUID) -> list[Leased]:
        """Grant the same *ids* to two workers while a third transaction has the row *held* locked."""
        async with connected(self.ledger.platform.database.admin_url) as third:
            async with third.transaction():
                await third.execute(_HOLD, held)
                grants = [asyncio.create_task(self.store.grant(ids, LEASE_S)) for _ in range(2)]
                while await self._waiting() + sum(task.done() for task in grants) < len(grants):
                    pass
            one, other = await asyncio.gather(*grants)
            return [*one, *other]

    async def _waiting(self) -> int:
        """Return how many backends wait for a lock."""
        return int(await self.admin.fetchval(_WAITING))

    async def finish(self, leases: Sequence[Leased], outcome: str, *, dies: bool = False) -> None:
        """End jobs together with their effects; one who dies does so right before the commit."""
        async with begin(self.engine, "BEGIN") as (transaction, _):
            if outcome == "done":
                await transaction.execute(_EFFECT, {"ids": [lease.id for lease in leases]})
            await finish_all(transaction, [(lease, None) for lease in leases], outcome)
            if dies:
                await self.die(transaction)

    async def report(self, lease: Leased) -> None:
        async with begin(self.engine, "BEGIN") as (transaction, _):
            await report(transaction, lease, done=1, total=2)

    async def redrive(self, asked: Asked, job_id: UUID | None) -> int:
        """Redrive the dead letters of the tenant and the kind of *asked*, or of them the one with this id."""
        context = self.ledger.platform.context(asked.tenant_id)
        async with self.ledger.platform.platform.units.begin(context) as uow:
            return await redrive(uow, asked.job.kind, {}, job_id)

    async def redrive_dead_letters(self, asked: Asked) -> int:
        """Redrive what was given up of the tenant and the kind of *asked*, which is less than a page."""
        choice = Choice(what=asked.job.kind.name)
        async with begin(self.engine, "BEGIN") as (transaction, _):
            return (await redrive_page(transaction, tenant_id=asked.tenant_id, choice=choice)).changed

    async def discard_dead_letters(self, asked: Asked, state: str) -> int:
        choice = Choice(what=asked.job.kind.name)
        async with begin(self.engine, "BEGIN") as (transaction, _):
            return (await discard_page(transaction, tenant_id=asked.tenant_id, choice=choice, state=state)).changed

    async def let_run_out(self, ids: Sequence[UUID]) -> None:
        await self.admin.execute(_RUN_OUT, ids)

    async def rows(self) -> list[tuple[UUID, Row]]:
        """Return every job that there is, of the hot table and of history."""
        return [(row["id"], Row(*list(row)[1:])) for row in await self.admin.fetch(_ROWS)]


@asynccontextmanager
async def open_ledger_world(runner: asyncio.Runner, database: Database) -> AsyncIterator[LedgerWorld]:
    async with connected(database.admin_url) as admin, open_ledger(database) as ledger:
        await admin.execute("CREATE TABLE job_effects (job_id uuid); GRANT ALL ON job_effects TO rustok_system")
        yield LedgerWorld(runner, admin, ledger)


def _asker(tenant_id: UUID) -> Asker:
    return Asker(tenant_id=tenant_id, actor="test:machine", correlation_id=uuid7(), causation_id=None)
