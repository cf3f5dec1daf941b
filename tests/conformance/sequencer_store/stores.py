"""The sequencer's stores, each with writers that stage events, and a look at what became of them."""

import random
from collections.abc import AsyncIterator, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass
from functools import partial
from typing import Protocol

import asyncpg
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncEngine

from rustok.db.engine import open_engine
from rustok.db.transaction import begin, run_alone
from rustok.db.unit_of_work import UnitOfWork, UnitOfWorkFactory
from rustok.events.outbox import OutboxTransport
from rustok.events.sequencer import SequencerStore
from rustok.events.store import PostgresSequencerStore
from rustok.kernel.event import Envelope, LoggedEvent
from rustok.kernel.secrets import Secrets
from rustok.runtime import SystemClock
from rustok.testing import Database, FixedClock, a_context
from tests.chaos.simulator import database as simulated
from tests.chaos.simulator import log_stores
from tests.chaos.simulator.session import DirectWire, OpenTransaction, Session
from tests.conformance.transport.levels import TENANT

STORES = ("postgres", "simulated")

_SEQUENCE = text("SELECT FROM sequence_outbox(:limit)")
_FLOOR = text("SELECT floor_id FROM log_state")
_ALL = 1_000


class Writer(Protocol):
    """An open transaction of a process that commits events."""

    async def stage(self, *events: Envelope) -> None: ...


@dataclass(frozen=True, slots=True)
class OutboxWriter:
    transport: OutboxTransport
    uow: UnitOfWork

    async def stage(self, *events: Envelope) -> None:
        await self.transport.publish(self.uow, events)


@dataclass(frozen=True, slots=True)
class SimulatedWriter:
    database: simulated.Database
    transaction: OpenTransaction

    async def stage(self, *events: Envelope) -> None:
        for envelope in events:
            await self.transaction.run(partial(log_stores.stage, self.database, envelope=envelope))


class StoreUnderTest(Protocol):
    """Events get ids from 1 on as they are staged; none is given out twice."""

    @property
    def store(self) -> SequencerStore: ...

    def writing(self) -> AbstractAsyncContextManager[Writer]:
        """Open a transaction that commits on leaving, or rolls back."""

    def sequencing(self, limit: int) -> AbstractAsyncContextManager[None]:
        """Have another relay in the middle of a batch, which it commits on leaving, or rolls back."""

    async def log(self) -> Sequence[LoggedEvent]:
        """Return the log in order of position."""

    async def forget_log(self, position: int) -> None:
        """Take away the beginning of the log, up to *position*."""

    async def floor(self) -> int:
        """Return the highest id that the next scan passes over."""


class PostgresUnderTest:
    def __init__(self, database: Database, app: AsyncEngine, system: AsyncEngine) -> None:
        self.store: SequencerStore = PostgresSequencerStore(system)
        self._database = database
        self._system = system
        self._transport = OutboxTransport(system)
        secrets = Secrets("a secret of the tests, long enough")
        self._units = UnitOfWorkFactory(app, self._transport, SystemClock(), secrets)

    @asynccontextmanager
    async def writing(self) -> AsyncIterator[Writer]:
        async with self._units.begin(a_context(TENANT, frozenset())) as uow:
            yield OutboxWriter(self._transport, uow)

    @asynccontextmanager
    async def sequencing(self, limit: int) -> AsyncIterator[None]:
        async with begin(self._system, "BEGIN") as (transaction, _):
            await transaction.execute(_SEQUENCE, {"limit": limit})
            yield

    async def log(self) -> Sequence[LoggedEvent]:
        return await self._transport.read_all(0, _ALL)

    async def forget_log(self, position: int) -> None:
        await _as_admin(self._database, f"DELETE FROM event_log WHERE position <= {position}")

    async def floor(self) -> int:
        return int((await run_alone(self._system, _FLOOR)).scalar_one())


class SimulatedUnderTest:
    def __init__(self) -> None:
        self._database = simulated.Database(FixedClock().now, random.Random(0))
        self._session = Session(self._database, DirectWire)
        self._store = log_stores.SimulatedSequencerStore(self._database, self._session)
        self.store: SequencerStore = self._store

    @asynccontextmanager
    async def writing(self) -> AsyncIterator[Writer]:
        async with self._session.begin() as transaction:
            yield SimulatedWriter(self._database, transaction)

    @asynccontextmanager
    async def sequencing(self, limit: int) -> AsyncIterator[None]:
        async with self._session.begin() as transaction:
            await transaction.run(partial(self._store.sequence_in, limit))
            yield

    async def log(self) -> Sequence[LoggedEvent]:
        return [row.event for _, row in sorted(self._database.tables["event_log"].items())]

    async def forget_log(self, position: int) -> None:
        rows = self._database.tables["event_log"]
        self._database.tables["event_log"] = {place: row for place, row in rows.items() if place > position}

    async def floor(self) -> int:
        return self._database.alone(log_stores.floor_of).floor


async def _as_admin(database: Database, *statements: str) -> None:
    admin = await asyncpg.connect(database.admin_url)
    for statement in statements:
        await admin.execute(statement)
    await admin.close()


async def _forget_everything(database: Database) -> None:
    await _as_admin(
        database,
        "TRUNCATE outbox RESTART IDENTITY",
        "DELETE FROM event_log",
        "UPDATE log_state SET floor_id = 0, next_floor_id = NULL, next_floor_writers = NULL",
    )


@asynccontextmanager
async def open_store(name: str, database: Database) -> AsyncIterator[StoreUnderTest]:
    """Open the store *name*, empty; *database* is for the one that needs a server."""
    if name == "simulated":
        yield SimulatedUnderTest()
        return
    await _forget_everything(database)
    async with open_engine(database.app_url) as app, open_engine(database.system_url) as system:
        yield PostgresUnderTest(database, app, system)
