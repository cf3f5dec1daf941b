"""The levels of the transport, each with what writes to it and what moves it on."""

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any, ClassVar
from uuid import UUID

import asyncpg

from rustok.db.engine import open_engine
from rustok.db.unit_of_work import UnitOfWork, UnitOfWorkFactory
from rustok.events.memory import MemoryTransport
from rustok.events.outbox import OutboxTransport
from rustok.events.store import PostgresSequencerStore
from rustok.kernel.event import SHARDS, Event, LoggedEvent
from rustok.kernel.secrets import Secrets
from rustok.kernel.transport import EventTransport
from rustok.runtime import SystemClock
from rustok.testing import Database, a_context

TENANT = UUID("01890a5d-ac96-774b-bcce-b302099a8057")

LEVELS = ("memory", "outbox")


class Noted(Event):
    """Something was noted; the facts are free, so that tests can carry what they like."""

    type: ClassVar = "notes.note.noted"
    aggregate: ClassVar = "note"
    example: ClassVar = {"facts": {}}

    facts: dict[str, Any] = {}


@dataclass(frozen=True, slots=True)
class Level:
    """A transport under test. `settle` makes everything that was committed readable."""

    transport: EventTransport
    units: UnitOfWorkFactory
    settle: Callable[[], Awaitable[None]]
    commits: list[str]
    """One entry a time that the transport said that events were committed."""

    async def write(self, aggregate_id: UUID, *, version: int = 0, times: int = 1) -> None:
        """Commit *times* events of an aggregate whose version was *version*."""
        async with self.units.begin(a_context(TENANT, frozenset())) as uow:
            emit(uow, aggregate_id, version=version, times=times)

    async def read_all(self) -> list[LoggedEvent]:
        """Return the whole log in order of position."""
        found = [event for shard in range(SHARDS) for event in await self.transport.read(shard, 0, 10_000)]
        return sorted(found, key=lambda event: event.position)


def emit(uow: UnitOfWork, aggregate_id: UUID, *, version: int = 0, times: int = 1) -> None:
    """Stage events of an aggregate that the unit of work is said to hold."""
    uow.hold("note", aggregate_id, version)
    for number in range(1, times + 1):
        uow.emit(Noted(facts={"number": number}), aggregate_id)


async def forget_events(database: Database) -> None:
    """Empty the log and whatever consumers remember of it."""
    admin = await asyncpg.connect(database.admin_url)
    for table in ("outbox", "event_log", "checkpoints", "parked_aggregates"):
        await admin.execute(f"DELETE FROM {table}")
    await admin.close()


@asynccontextmanager
async def open_level(name: str, database: Database) -> AsyncIterator[Level]:
    """Open the level *name* on *database*."""
    commits: list[str] = []
    clock, secrets = SystemClock(), Secrets("a secret of the tests, long enough")
    async with open_engine(database.app_url) as app, open_engine(database.system_url) as system:
        if name == "memory":
            memory = MemoryTransport(lambda: commits.append("committed"))
            yield Level(memory, UnitOfWorkFactory(app, memory, clock, secrets), _nothing, commits)
            return
        sequencer = PostgresSequencerStore(system)

        async def sequence() -> None:
            while await sequencer.sequence(1000):
                pass

        outbox = OutboxTransport(system, lambda: commits.append("committed"))
        yield Level(outbox, UnitOfWorkFactory(app, outbox, clock, secrets), sequence, commits)


async def _nothing() -> None:
    """Memory needs no step: it appends when the transaction has committed."""
