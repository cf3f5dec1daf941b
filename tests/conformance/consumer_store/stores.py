"""The consumers' stores, each with a log that can be written to, and a table for effects."""

import random
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from functools import partial
from typing import Any, Protocol
from uuid import UUID

import asyncpg
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncEngine

from rustok.db.engine import open_engine
from rustok.events.consumer import ConsumerStore
from rustok.events.memory_store import MemoryConsumerStore
from rustok.events.store import PostgresConsumerStore
from rustok.kernel.event import AggregateKey, shard_of
from rustok.testing import Database, FixedClock, an_envelope
from tests.chaos.simulator import database as simulated
from tests.chaos.simulator import log_stores
from tests.chaos.simulator.session import DirectWire, OpenTransaction, Session
from tests.conformance.transport.levels import TENANT, Level, Noted, forget_events, open_level

STORES = ("memory", "postgres", "simulated")
CONSUMER = "notes.reader"
SHARD = 3

_EFFECT = text("INSERT INTO effects VALUES (:effect)")
_EFFECTS = text("SELECT effect FROM effects ORDER BY effect")


def aggregates(count: int, shard: int = SHARD) -> list[UUID]:
    """Return *count* aggregates of a shard."""
    found = (UUID(int=n) for n in range(10_000))
    return [i for i in found if shard_of(AggregateKey(TENANT, i)) == shard][:count]


async def take_effect(transaction: Any, effect: str) -> None:
    """Do something inside a claim's transaction."""
    if isinstance(transaction, OpenTransaction):
        await transaction.run(lambda t: t.put("effects", effect, effect))
    else:
        await transaction.execute(_EFFECT, {"effect": effect})


class StoreUnderTest(Protocol):
    @property
    def store(self) -> ConsumerStore: ...

    async def log(self, *aggregate_ids: UUID) -> None:
        """Write an event of each aggregate; together they stand at the positions from 1 on."""

    async def effects(self) -> list[str]:
        """Return what was committed inside claims."""


class SimulatedUnderTest:
    """The stand-in for PostgreSQL that the simulator uses."""

    def __init__(self) -> None:
        self._database = simulated.Database(FixedClock().now, random.Random(0))
        self._session = Session(self._database, DirectWire)
        self.store = log_stores.SimulatedConsumerStore(self._session)

    async def log(self, *aggregate_ids: UUID) -> None:
        for aggregate_id in aggregate_ids:
            envelope = an_envelope(Noted, tenant_id=TENANT, aggregate_id=aggregate_id)
            await self._session.run(partial(log_stores.stage, self._database, envelope=envelope))
        await log_stores.SimulatedSequencerStore(self._database, self._session).sequence(1000)

    async def effects(self) -> list[str]:
        return sorted(self._database.tables["effects"])


@dataclass(frozen=True, slots=True)
class ServedUnderTest:
    """A store that needs a server, if only for the effects."""

    store: ConsumerStore
    level: Level
    engine: AsyncEngine

    async def log(self, *aggregate_ids: UUID) -> None:
        for aggregate_id in aggregate_ids:
            await self.level.write(aggregate_id)
        await self.level.settle()

    async def effects(self) -> list[str]:
        async with self.engine.connect() as connection:
            return list((await connection.execute(_EFFECTS)).scalars())


async def create_effects(database: Database) -> None:
    admin = await asyncpg.connect(database.admin_url)
    await admin.execute("CREATE TABLE effects (effect text); GRANT ALL ON effects TO rustok_system")
    await admin.close()


async def _forget_effects(database: Database) -> None:
    admin = await asyncpg.connect(database.admin_url)
    await admin.execute("DELETE FROM effects")
    await admin.close()


@asynccontextmanager
async def open_store(name: str, database: Database) -> AsyncIterator[StoreUnderTest]:
    """Open the store *name*, empty; *database* is for those that need a server."""
    if name == "simulated":
        under_test = SimulatedUnderTest()
        await under_test.store.prepare([CONSUMER, "notes.other"])
        yield under_test
        return
    await forget_events(database)
    await _forget_effects(database)
    transport = "memory" if name == "memory" else "outbox"
    async with open_level(transport, database) as level, open_engine(database.system_url) as engine:
        if name == "memory":
            yield ServedUnderTest(MemoryConsumerStore(engine, level.transport), level, engine)
            return
        postgres = PostgresConsumerStore(engine)
        await postgres.prepare([CONSUMER, "notes.other"])
        yield ServedUnderTest(postgres, level, engine)
