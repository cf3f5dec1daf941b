"""The real outbox, sequencer and log, with a table of aggregates that writers lock as services do."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AbstractAsyncContextManager, AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from functools import partial
from typing import Any, ClassVar, TypeVar
from uuid import UUID

import asyncpg
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncEngine

from rustok.db.engine import open_engine
from rustok.db.transaction import begin
from rustok.db.unit_of_work import UnitOfWork, UnitOfWorkFactory
from rustok.events.dead_letters import BEFORE_ALL, Choice, Page, consumers_with_parked, redrive_page
from rustok.events.outbox import OutboxTransport
from rustok.events.store import PostgresSequencerStore
from rustok.kernel.event import SHARDS, Event, LoggedEvent
from rustok.kernel.secrets import Secrets
from rustok.runtime import SystemClock
from rustok.testing import Database, a_context
from tests.faults import UNDER_FIRE
from tests.under_fire import answered

Answer = TypeVar("Answer")

TENANT = UUID("01890a5d-ac96-774b-bcce-b302099a8057")

_LOCK = text("SELECT version FROM clocks WHERE id = :id FOR UPDATE")
_SET_VERSION = text("UPDATE clocks SET version = :version WHERE id = :id")

_STAGE = """
    INSERT INTO outbox (shard, event_id, type, schema_version, tenant_id, aggregate_type, aggregate_id,
                        aggregate_version, correlation_id, causation_id, actor, occurred_at, payload)
    SELECT 1, gen_random_uuid(), 'clocks.clock.wound', 1, $1, 'clock', gen_random_uuid(), 1, gen_random_uuid(),
           gen_random_uuid(), 'test:log', now(), '{"transaction": 0}'
      FROM generate_series(1, $2)
    RETURNING id
"""


class Wound(Event):
    """A clock was wound, by the transaction with this number."""

    type: ClassVar = "clocks.clock.wound"
    aggregate: ClassVar = "clock"
    example: ClassVar = {"transaction": 1}

    transaction: int = 0


async def stage(connection: asyncpg.Connection, count: int = 1) -> list[int]:
    """Insert events into the outbox in the connection's transaction and return their ids."""
    return sorted(row["id"] for row in await connection.fetch(_STAGE, TENANT, count))


@asynccontextmanager
async def connected(url: str) -> AsyncIterator[asyncpg.Connection]:
    """Connect; what is not committed at the end is lost."""
    connection = await asyncpg.connect(url)
    try:
        yield connection
    finally:
        await connection.close()


@dataclass(frozen=True, slots=True)
class Log:
    """One installation: writers on one side, relays on the other."""

    database: Database
    units: UnitOfWorkFactory
    system_engine: AsyncEngine
    transport: OutboxTransport
    sequencer: PostgresSequencerStore
    failing_engine: AsyncEngine | None = None
    """Under fire, what relays and workers connect with; all that a test does by hand has steady connections."""

    @property
    def workers_engine(self) -> AsyncEngine:
        return self.failing_engine or self.system_engine

    async def answered(self, work: Callable[[], Awaitable[Answer]]) -> Answer:
        """Do *work*, under fire until it ends otherwise than by a fault."""
        return await (answered(work) if self.failing_engine else work())

    def admin(self) -> AbstractAsyncContextManager[asyncpg.Connection]:
        return connected(self.database.admin_url)

    def begin(self) -> AbstractAsyncContextManager[UnitOfWork]:
        return self.units.begin(a_context(TENANT, frozenset()))

    async def create_clocks(self, count: int) -> list[UUID]:
        """Create aggregates at version 0."""
        ids = [UUID(int=n) for n in range(1, count + 1)]
        async with self.admin() as admin:
            await admin.executemany("INSERT INTO clocks VALUES ($1, 0)", [(clock,) for clock in ids])
        return ids

    async def sequence_all(self, batch: int = 1000) -> None:
        while await self.answered(partial(self.sequencer.sequence, batch)):
            pass

    async def raise_floor(self) -> None:
        await self.answered(self.sequencer.raise_floor)

    async def read_all(self) -> list[LoggedEvent]:
        """Return the whole log in order of position."""
        found = [event for shard in range(SHARDS) for event in await self.transport.read(shard, 0, 100_000)]
        return sorted(found, key=lambda event: event.position)

    async def version_of(self, clock: UUID) -> int:
        async with self.admin() as admin:
            return int(await admin.fetchval("SELECT version FROM clocks WHERE id = $1", clock))

    async def floor(self) -> int:
        async with self.admin() as admin:
            return int(await admin.fetchval("SELECT floor_id FROM log_state"))


async def wind(
    uow: UnitOfWork, clock: UUID, *, times: int = 1, transaction: int = 0, event: Event | None = None
) -> None:
    """Do what a service does: lock the root's row, emit, write the row's new version."""
    version = (await uow.execute(_LOCK, {"id": clock})).scalar_one()
    uow.hold("clock", clock, version)
    for _ in range(times):
        version = uow.emit(event or Wound(transaction=transaction), clock)
    await uow.execute(_SET_VERSION, {"id": clock, "version": version})


async def create_clocks_table(database: Database) -> None:
    async with connected(database.admin_url) as admin:
        await admin.execute("CREATE TABLE clocks (id uuid PRIMARY KEY, version bigint)")
        await admin.execute("GRANT ALL ON clocks TO rustok_app")


async def forget_everything(database: Database) -> None:
    """Make the log as it was when it was installed. TRUNCATE waits for transactions that are still ending."""
    async with connected(database.admin_url) as admin:
        await admin.execute("TRUNCATE outbox RESTART IDENTITY")
        await admin.execute("TRUNCATE event_log, checkpoints, parked_aggregates, clocks")
        await admin.execute(
            "UPDATE log_state SET shards = 16, floor_id = 0, next_floor_id = NULL, next_floor_writers = NULL"
        )


@asynccontextmanager
async def open_log(
    database: Database, writers: int = 10, *, is_under_fire: bool = False, **options: Any
) -> AsyncIterator[Log]:
    """Open the log of *database*, which has the table of clocks, for so many *writers* at a time.

    *options* are further ones of `create_engine`.
    """
    async with (
        open_engine(database.app_url, pool_size=writers, **options) as app,
        open_engine(database.system_url, pool_size=5, **options) as system,
        AsyncExitStack() as stack,
    ):
        failing = None
        if is_under_fire:
            engine = open_engine(database.system_url, pool_size=5, application_name=UNDER_FIRE)
            failing = await stack.enter_async_context(engine)
        transport = OutboxTransport(system)
        units = UnitOfWorkFactory(app, transport, SystemClock(), Secrets("a secret of the tests, long enough"))
        yield Log(database, units, system, transport, PostgresSequencerStore(failing or system), failing)


async def redrive(engine: AsyncEngine, tenant_id: UUID, choice: Choice | None = None) -> int:
    """Redrive what the tenant's consumers have parked, page by page; return how many aggregates that was."""
    count = 0
    for consumer in await consumers_with_parked(engine, tenant_id):
        change = partial(redrive_page, tenant_id=tenant_id, consumer=consumer, choice=choice or Choice())
        page = Page(0, BEFORE_ALL)
        while page.last is not None:
            async with begin(engine, "BEGIN") as (transaction, _):
                page = await change(transaction, after=page.last)
            count += page.changed
    return count


async def until_waiting(admin: asyncpg.Connection, query: str, *tasks: asyncio.Task[Any]) -> None:
    """Return when a statement like *query* waits for a lock in each of the *tasks* (in one, without any).

    A task that ends instead of waiting ends this as well: its test then tells what went wrong.
    """
    waiting = 0
    while waiting < max(len(tasks), 1) and not any(task.done() for task in tasks):
        waiting = await admin.fetchval(
            "SELECT count(*) FROM pg_stat_activity"
            " WHERE datname = current_database() AND wait_event_type = 'Lock' AND query LIKE $1",
            query,
        )


async def until_gone(admin: asyncpg.Connection, pid: int) -> None:
    """Return when a backend has ended."""
    while await admin.fetchval("SELECT count(*) FROM pg_stat_activity WHERE pid = $1", pid):
        pass
