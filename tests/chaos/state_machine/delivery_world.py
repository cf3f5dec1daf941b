"""The real outbox, log and consumers on PostgreSQL, for a machine that is not asynchronous."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, NamedTuple
from uuid import UUID

import asyncpg
from sqlalchemy import text

from rustok.db.transaction import Transaction
from rustok.db.unit_of_work import UnitOfWork
from rustok.events.consumer import Consumer, ConsumerConfig
from rustok.events.parking import RetryPolicy
from rustok.events.store import PostgresConsumerStore
from rustok.kernel.errors import Unavailable
from rustok.kernel.event import LoggedEvent
from rustok.testing import Database, FixedClock
from tests.chaos.state_machine.world import World
from tests.integration.events.log import (
    Log,
    connected,
    create_clocks_table,
    forget_everything,
    open_log,
    until_gone,
    wind,
)

CLOCKS = tuple(UUID(int=n) for n in (1, 24, 2, 3))
"""The first two are of one shard."""
RETRY_S = 10
ATTEMPTS = 3

_EFFECT = text("INSERT INTO effects (clock, version) VALUES (:clock, :version)")
_DATA_ERROR = text("SELECT CAST(:value AS integer)")
_PID = text("SELECT pg_backend_pid()")

Interlude = Callable[[Transaction], Awaitable[object]]
"""What happens to a consumer between its effects and its commit."""


class Version(NamedTuple):
    """An event, by its clock and the version that it gave it."""

    clock: UUID
    version: int


@dataclass(frozen=True, slots=True)
class Place:
    """Where in the log an event is."""

    position: int
    shard: int
    event: Version


@dataclass(frozen=True, slots=True)
class Delivery:
    """All that can be seen of the delivery."""

    log: Sequence[Place]
    staged: Sequence[Version]
    effects: Sequence[Version]
    checkpoints: Mapping[int, int]
    parked: Mapping[UUID, int]
    """The first position that waits, by clock."""
    attempts: Mapping[UUID, int]


async def nothing(_transaction: Transaction) -> None:
    """Let the consumer commit."""


async def fall_ill(_transaction: Transaction) -> None:
    """Something that the handler needs is away for now."""
    raise Unavailable("The server is away.")


class Recorder:
    """Writes each event down; at the clocks in `broken` PostgreSQL refuses a value."""

    name = "clocks.recorder"
    subscribes: tuple[str, ...] = ("clocks.*",)

    def __init__(self, broken: set[UUID], interlude: Interlude = nothing) -> None:
        self._broken = broken
        self._interlude = interlude

    async def handle(self, transaction: Transaction, events: Sequence[LoggedEvent]) -> None:
        for event in events:
            if event.envelope.aggregate_id in self._broken:
                await transaction.execute(_DATA_ERROR, {"value": "square"})
            values = {"clock": event.envelope.aggregate_id, "version": event.envelope.aggregate_version}
            await transaction.execute(_EFFECT, values)
        await self._interlude(transaction)


class OpenWrite:
    """A write whose transaction has its place in the outbox and has not ended."""

    def __init__(self, clock: UUID, times: int) -> None:
        self.clock = clock
        self.times = times
        self._stack = AsyncExitStack()
        self._pid = 0

    async def begin(self, log: Log) -> None:
        uow: UnitOfWork = await self._stack.enter_async_context(log.begin())
        await wind(uow, self.clock, times=self.times)
        await uow.flush(log.transport)
        self._pid = (await uow.execute(_PID)).scalar_one()

    async def commit(self) -> None:
        await self._stack.aclose()

    async def roll_back(self) -> None:
        with suppress(ZeroDivisionError):
            await self._stack.__aexit__(ZeroDivisionError, ZeroDivisionError(), None)

    async def be_killed(self, admin: asyncpg.Connection) -> None:
        """Lose the connection, and try to commit."""
        await admin.execute("SELECT pg_terminate_backend($1)", self._pid)
        await until_gone(admin, self._pid)
        with suppress(Unavailable):
            await self.commit()
            raise AssertionError("a transaction without a connection cannot commit")


class DeliveryWorld(World):
    def __init__(self, runner: asyncio.Runner, admin: asyncpg.Connection, log: Log) -> None:
        super().__init__(runner, admin)
        self.log = log
        self.store = PostgresConsumerStore(log.system_engine)
        self.clock = FixedClock(datetime.now(UTC))
        self.broken: set[UUID] = set()

    async def forget(self) -> None:
        """Make the log as it was when it was installed, with clocks at version 0."""
        await forget_everything(self.log.database)
        await self.admin.execute("TRUNCATE effects")
        await self.admin.executemany("INSERT INTO clocks VALUES ($1, 0)", [(clock,) for clock in CLOCKS])
        await self.store.prepare([Recorder.name])
        self.broken.clear()

    def consumer(self, interlude: Interlude = nothing) -> Consumer:
        """Return a worker's consumer, with small batches, so that there are many."""
        retry = RetryPolicy(attempts=ATTEMPTS, first_delay_s=RETRY_S, growth=1)
        config = ConsumerConfig(batch=3, batches_a_drain=1000, retry=retry)
        return Consumer(config, self.store, self.clock, Recorder(self.broken, interlude))

    async def is_behind(self) -> bool:
        return await self.store.is_behind(Recorder.name, self.clock.now())

    async def die_in_mid_sequence(self, limit: int) -> None:
        """A relay loses its connection with a batch moved and not committed; others come by meanwhile."""
        async with connected(self.log.database.system_url) as relay:
            await relay.execute(f"BEGIN; SELECT FROM sequence_outbox({limit:d})")
            assert await self.log.sequencer.sequence(limit) is None, "two sequence at a time"
            await self.log.sequencer.raise_floor()
            await self.admin.execute("SELECT pg_terminate_backend($1)", relay.get_server_pid())
            await until_gone(self.admin, relay.get_server_pid())

    async def look(self) -> Delivery:
        """Return what there is."""
        log = await self.admin.fetch(
            "SELECT position, shard, aggregate_id, aggregate_version FROM event_log ORDER BY position"
        )
        staged = await self.admin.fetch("SELECT aggregate_id, aggregate_version FROM outbox ORDER BY id")
        effects = await self.admin.fetch("SELECT clock, version FROM effects ORDER BY number")
        checkpoints = await self.admin.fetch("SELECT shard, position FROM checkpoints")
        parked = await self.admin.fetch("SELECT aggregate_id, position, attempts FROM parked_aggregates")
        return Delivery(
            log=[Place(row[0], row[1], Version(row[2], row[3])) for row in log],
            staged=[Version(*row) for row in staged],
            effects=[Version(*row) for row in effects],
            checkpoints=_one_a_shard(checkpoints),
            parked={row[0]: row[1] for row in parked},
            attempts={row[0]: row[2] for row in parked},
        )


def _one_a_shard(rows: Sequence[Any]) -> Mapping[int, int]:
    """Return the checkpoints by shard, each of which has one row, whoever moves it."""
    checkpoints = {row[0]: row[1] for row in rows}
    assert len(checkpoints) == len(rows), f"two checkpoints in a shard: {rows}"
    return checkpoints


@asynccontextmanager
async def open_delivery_world(runner: asyncio.Runner, database: Database) -> AsyncIterator[DeliveryWorld]:
    await create_clocks_table(database)
    # What is left open is left open on purpose, and a lock that is waited for is a bug.
    options: dict[str, Any] = {"idle_in_transaction_timeout_s": 600.0, "settings": {"lock_timeout": "2s"}}
    async with connected(database.admin_url) as admin, open_log(database, **options) as log:
        await admin.execute("CREATE TABLE effects (number bigserial, clock uuid, version bigint)")
        await admin.execute("GRANT ALL ON effects, effects_number_seq TO rustok_system")
        yield DeliveryWorld(runner, admin, log)
