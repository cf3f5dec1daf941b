"""A consumer over the real store: a poisoned aggregate waits in order, everything else flows."""

from collections.abc import Sequence
from datetime import UTC, datetime
from uuid import UUID

import pytest
from asyncpg import InternalClientError
from sqlalchemy import text
from sqlalchemy.exc import DBAPIError
from sqlalchemy.ext.asyncio import AsyncConnection

from rustok.db.failures import is_transient
from rustok.events.consumer import Consumer, ConsumerConfig
from rustok.events.dead_letters import list_dead_letters, redrive
from rustok.events.parking import RetryPolicy
from rustok.events.store import PostgresConsumerStore
from rustok.kernel.errors import Misconfigured
from rustok.kernel.event import AggregateKey, LoggedEvent, shard_of
from rustok.testing import FixedClock
from tests.integration.events.log import TENANT, Log, wind

SHARD = 3
A, B, C = [i for i in map(UUID, (f"{n:032x}" for n in range(1, 200))) if shard_of(AggregateKey(TENANT, i)) == SHARD][:3]

_EFFECT = text("INSERT INTO effects (clock, version) VALUES (:clock, :version)")
_EFFECTS = text("SELECT clock, version FROM effects ORDER BY number")
_DATA_ERROR = text("SELECT CAST(:value AS integer)")


class RecordingHandler:
    """Writes each event down; at the aggregates in `broken` PostgreSQL refuses a value."""

    name = "clocks.recorder"
    subscribes: tuple[str, ...] = ("clocks.*",)

    def __init__(self) -> None:
        self.broken: set[UUID] = set()

    async def handle(self, transaction: AsyncConnection, events: Sequence[LoggedEvent]) -> None:
        for event in events:
            if event.envelope.aggregate_id in self.broken:
                await transaction.execute(_DATA_ERROR, {"value": "square"})
            values = {"clock": event.envelope.aggregate_id, "version": event.envelope.aggregate_version}
            await transaction.execute(_EFFECT, values)


class Station:
    """A consumer of the shard, with a clock that is moved by hand."""

    def __init__(self, log: Log) -> None:
        self.log = log
        self.clock = FixedClock(datetime.now(UTC))  # `redrive` goes by PostgreSQL's clock
        self.handler = RecordingHandler()
        self.store = PostgresConsumerStore(log.system_engine)
        config = ConsumerConfig(retry=RetryPolicy(attempts=3, first_delay_s=10, growth=1))
        self.consumer = Consumer(config, self.store, self.clock, self.handler)

    async def write(self, *clocks: UUID) -> None:
        """Commit an event of each clock, one transaction each, and sequence them."""
        for clock in clocks:
            async with self.log.begin() as uow:
                await wind(uow, clock)
        await self.log.sequence_all()

    async def drain(self) -> None:
        await self.consumer.drain(SHARD)

    async def retry(self, times: int = 1) -> None:
        """Let the next attempt become due, and make it."""
        for _ in range(times):
            self.clock.advance(10)
            await self.drain()

    async def effects(self) -> dict[UUID, list[int]]:
        """Return the versions that took effect, by clock, in order."""
        found: dict[UUID, list[int]] = {}
        async with self.log.system_engine.connect() as connection:
            for row in await connection.execute(_EFFECTS):
                found.setdefault(row.clock, []).append(row.version)
        return found


@pytest.fixture
async def station(log: Log) -> Station:
    async with log.admin() as admin:
        await admin.execute("DROP TABLE IF EXISTS effects")
        await admin.execute("CREATE TABLE effects (number bigserial, clock uuid, version bigint)")
        await admin.execute("GRANT ALL ON effects, effects_number_seq TO rustok_system")
        await admin.executemany("INSERT INTO clocks VALUES ($1, 0)", [(A,), (B,), (C,)])
    station = Station(log)
    await station.store.prepare([station.handler.name])
    return station


async def test_neighbours_of_a_poisoned_aggregate_take_effect(station: Station) -> None:
    """In the same run that finds the poison."""
    station.handler.broken = {B}
    await station.write(A, B, C, A)

    await station.drain()

    assert await station.effects() == {A: [1, 2], C: [1]}


async def test_a_parked_aggregate_is_listed_with_what_waits_for_it(station: Station) -> None:
    """Where, since when, why, and how many events wait, also those that came later."""
    station.handler.broken = {B}
    await station.write(A, B)
    await station.drain()
    await station.write(B, A, B)
    await station.drain()

    [letter] = await list_dead_letters(station.log.system_engine)

    assert (letter.consumer, letter.shard, letter.tenant_id) == ("clocks.recorder", SHARD, TENANT)
    assert (letter.aggregate_type, letter.aggregate_id, letter.position) == ("clock", B, 2)
    assert (letter.state, letter.attempts, letter.parked_at) == ("retrying", 1, station.clock.now())
    assert letter.waiting_events == 3


async def test_the_error_of_a_parked_aggregate_is_told_without_the_statement(station: Station) -> None:
    """One line, for a person."""
    station.handler.broken = {B}
    await station.write(B)
    await station.drain()

    [letter] = await list_dead_letters(station.log.system_engine)

    assert "\n" not in letter.error
    assert "SELECT" not in letter.error
    assert "invalid input" in letter.error


async def test_an_aggregate_is_a_dead_letter_after_its_attempts(station: Station) -> None:
    """Three, here; then nobody tries again by himself."""
    station.handler.broken = {B}
    await station.write(B)
    await station.drain()
    await station.retry(times=2)
    station.handler.broken = set()
    await station.retry(times=3)

    [letter] = await list_dead_letters(station.log.system_engine)

    assert (letter.state, letter.attempts, await station.effects()) == ("dead", 3, {})


async def test_a_redriven_aggregate_is_replayed_in_order(station: Station) -> None:
    """From its first waiting event to the last, also those that came while it was dead."""
    station.handler.broken = {B}
    await station.write(B, A)
    await station.drain()
    await station.retry(times=2)
    await station.write(B, A, B)
    await station.drain()
    station.handler.broken = set()

    redriven = await redrive(station.log.system_engine, consumer="clocks.recorder")
    await station.retry()

    assert (redriven, await station.effects()) == (1, {A: [1, 2], B: [1, 2, 3]})
    assert await list_dead_letters(station.log.system_engine) == []


async def test_a_redriven_aggregate_that_is_still_broken_has_all_its_attempts_again(station: Station) -> None:
    """And its place in the log."""
    station.handler.broken = {B}
    await station.write(A, B)
    await station.drain()
    await station.retry(times=2)

    await redrive(station.log.system_engine, aggregate_id=B)
    await station.retry()

    [letter] = await list_dead_letters(station.log.system_engine)
    assert (letter.state, letter.attempts, letter.position) == ("retrying", 1, 2)


@pytest.mark.parametrize(
    "chosen", [{"consumer": "somebody.else"}, {"tenant_id": UUID(int=1)}, {"aggregate_id": A}], ids=str
)
async def test_what_was_not_chosen_is_not_redriven(station: Station, chosen: dict[str, UUID | str]) -> None:
    """Each given field narrows the choice."""
    station.handler.broken = {B}
    await station.write(B)
    await station.drain()

    assert await redrive(station.log.system_engine, **chosen) == 0  # type: ignore[arg-type]


async def test_after_a_retry_the_aggregate_goes_on_as_before(station: Station) -> None:
    """Nothing is applied twice and nothing left out."""
    station.handler.broken = {B}
    await station.write(B, B)
    await station.drain()
    station.handler.broken = set()
    await station.write(B)
    await station.retry()
    await station.write(B)
    await station.drain()

    assert await station.effects() == {B: [1, 2, 3, 4]}


async def test_a_lost_connection_parks_nobody(station: Station) -> None:
    """The whole batch is done again later."""

    class LosesItsConnection(RecordingHandler):
        async def handle(self, transaction: AsyncConnection, events: Sequence[LoggedEvent]) -> None:
            await super().handle(transaction, events)
            pid = (await transaction.execute(text("SELECT pg_backend_pid()"))).scalar_one()
            async with station.log.admin() as admin:
                await admin.execute("SELECT pg_terminate_backend($1)", pid)
            await transaction.execute(text("SELECT 1"))

    await station.write(A, B)
    unlucky = Consumer(ConsumerConfig(), station.store, station.clock, LosesItsConnection())

    with pytest.raises((DBAPIError, InternalClientError)) as lost:  # which one depends on what arrives first
        await unlucky.run_once(SHARD)

    assert is_transient(lost.value)
    assert (await list_dead_letters(station.log.system_engine), await station.effects()) == ([], {})
    await station.drain()
    assert await station.effects() == {A: [1], B: [1]}


async def test_the_sweep_sees_who_is_behind(station: Station) -> None:
    """A shard with events behind its checkpoint; nobody once it is drained."""
    await station.write(A)
    before = await station.store.behind()
    await station.drain()

    assert (before, await station.store.behind()) == ([("clocks.recorder", SHARD)], [])


async def test_the_sweep_sees_what_was_redriven(station: Station) -> None:
    """The shard itself has no news then."""
    station.handler.broken = {B}
    await station.write(B)
    await station.drain()
    await station.retry(times=2)
    while_dead = await station.store.behind()

    await redrive(station.log.system_engine)

    assert (while_dead, await station.store.behind()) == ([], [("clocks.recorder", SHARD)])


async def test_a_database_with_another_number_of_shards_is_refused(station: Station) -> None:
    """Events of an aggregate would change shards, and so their order."""
    async with station.log.admin() as admin:
        await admin.execute("UPDATE log_state SET shards = 8")

    with pytest.raises(Misconfigured, match="8 shards, this release 16"):
        await station.store.prepare(["clocks.recorder"])


async def test_preparing_a_consumer_again_leaves_it_where_it_is(station: Station) -> None:
    """Every process prepares at its start."""
    await station.write(A)
    await station.drain()
    await station.store.prepare([station.handler.name])
    await station.drain()

    assert await station.effects() == {A: [1]}
