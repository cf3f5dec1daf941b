"""The sequencer's and the consumers' operations on the stand-in for PostgreSQL."""

from collections.abc import AsyncIterator, Collection, Iterable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass
from datetime import datetime
from functools import partial
from math import inf
from typing import Any, NamedTuple

from rustok.events.consumer import Batch, Claim
from rustok.events.parking import Parked
from rustok.events.sequencer import Sequenced
from rustok.kernel.event import SHARDS, AggregateKey, Envelope, LoggedEvent
from tests.chaos.simulator.database import Database, Transaction
from tests.chaos.simulator.session import OpenTransaction, Session


@dataclass(frozen=True, slots=True)
class Floor:
    """Ids up to `floor` are gone from the outbox for good; up to `following`, once the `writers` have ended."""

    floor: int = 0
    following: int | None = None
    writers: tuple[Transaction, ...] = ()


class Logged(NamedTuple):
    """A row of the log."""

    shard: int
    event: LoggedEvent

    @property
    def key(self) -> AggregateKey:
        return self.event.envelope.key


def stage(database: Database, transaction: Transaction, envelope: Envelope) -> None:
    """Put an event into the outbox."""
    transaction.put("outbox", database.next_number("outbox"), envelope)


class SimulatedSequencerStore:
    def __init__(self, database: Database, session: Session) -> None:
        self._database = database
        self._session = session

    async def sequence(self, limit: int) -> Sequenced | None:
        return await self._session.run(partial(self.sequence_in, limit))

    async def raise_floor(self) -> None:
        await self._session.run(self._raise_floor)

    def sequence_in(self, limit: int, transaction: Transaction) -> Sequenced | None:
        """As the function `sequence_outbox`: one at a time, the others go away."""
        if not _is_alone(transaction):
            return None
        taken = self._next(transaction, limit)
        self._append(transaction, [envelope for _, envelope in taken])
        for number, _ in taken:
            transaction.put("outbox", number, None)
        return Sequenced(len(taken), {envelope.type for _, envelope in taken}) if taken else None

    def _next(self, transaction: Transaction, limit: int) -> list[tuple[int, Envelope]]:
        """Return what comes first in the outbox behind the floor."""
        floor = floor_of(transaction).floor
        return sorted((row for row in transaction.rows("outbox") if row[0] > floor), key=lambda row: row[0])[:limit]

    def _append(self, transaction: Transaction, envelopes: Iterable[Envelope]) -> None:
        head = max(self._database.tables["event_log"], default=0)
        for position, envelope in enumerate(envelopes, head + 1):
            transaction.put("event_log", position, Logged(envelope.shard, LoggedEvent(position, envelope)))

    def _raise_floor(self, transaction: Transaction) -> None:
        """As the function `raise_outbox_floor`: what nobody can commit any more is passed over from now on."""
        if _is_alone(transaction):
            self._look_for_floor(transaction)

    def _look_for_floor(self, transaction: Transaction) -> None:
        state = floor_of(transaction)
        writers = tuple(t for t in self._database.open if t.has_written("outbox"))
        floor = state.floor
        if state.following is not None:
            if set(state.writers) & set(writers):
                return
            remaining = [number for number, _ in transaction.rows("outbox") if number > floor]
            floor = min(min(remaining) - 1, state.following) if remaining else state.following
        raised = Floor(floor, self._database.last_numbers["outbox"], writers)
        if raised != state:
            transaction.put("log_state", 0, raised)


def floor_of(transaction: Transaction) -> Floor:
    found: Floor | None = transaction.get("log_state", 0)
    return found or Floor()


def _is_alone(transaction: Transaction) -> bool:
    """Get the sequencer's own lock, unless another transaction holds it."""
    if not transaction.is_free("log_state", "lock"):
        return False
    transaction.lock("log_state", "lock")
    return True


class SimulatedConsumerStore:
    def __init__(self, session: Session) -> None:
        self._session = session

    async def prepare(self, consumers: Iterable[str]) -> None:
        """Create the checkpoints that are missing, at the start of the log."""
        await self._session.run(partial(_create_checkpoints, list(consumers)))

    async def behind(self, now: datetime) -> Collection[str]:
        return await self._session.run(partial(_all_behind, now))

    async def is_behind(self, consumer: str, now: datetime) -> bool:
        return bool(await self._session.run(partial(_backlog, consumer, now)))

    @asynccontextmanager
    async def claim(self, consumer: str, now: datetime, limit: int) -> AsyncIterator[Claim | None]:
        async with self._session.begin() as transaction:
            positions = await transaction.run(partial(_claim, consumer, now, limit))
            yield SimulatedClaim(transaction, consumer, now, positions) if positions else None


class SimulatedClaim:
    def __init__(
        self, transaction: OpenTransaction, consumer: str, now: datetime, positions: Mapping[int, int]
    ) -> None:
        self.transaction = transaction
        self.positions = positions
        self._consumer = consumer
        self._now = now

    async def read(self, limit: int) -> Batch:
        return await self.transaction.run(partial(self._read, limit))

    async def advance(self, positions: Mapping[int, int]) -> None:
        def move(transaction: Transaction) -> None:
            for shard, position in positions.items():
                transaction.put("checkpoints", (self._consumer, shard), position)

        self.transaction.last_words = [move]

    async def due(self, limit: int) -> Sequence[Parked]:
        return await self.transaction.run(partial(self._due, limit))

    async def read_aggregate(self, parked: Parked, limit: int) -> Sequence[LoggedEvent]:
        last = self.positions[parked.shard]

        def read(transaction: Transaction) -> list[LoggedEvent]:
            waiting = (row for p, row in transaction.rows("event_log") if parked.position <= p <= last)
            return [row.event for row in waiting if row.key == parked.key][:limit]

        return await self.transaction.run(read)

    def savepoint(self) -> AbstractAsyncContextManager[Any]:
        return self.transaction.savepoint()

    async def park(self, parked: Parked) -> None:
        await self.transaction.run(lambda t: t.put("parked", (self._consumer, parked.key), parked))

    async def unpark(self, key: AggregateKey) -> None:
        await self.transaction.run(lambda t: t.put("parked", (self._consumer, key), None))

    def _read(self, limit: int, transaction: Transaction) -> Batch:
        rows = [
            row for position, row in transaction.rows("event_log") if position > self.positions.get(row.shard, inf)
        ][:limit]
        parked = {row.key for row in rows if transaction.get("parked", (self._consumer, row.key))}
        return Batch([row.event for row in rows], parked, {row.shard: row.event.position for row in rows})

    def _due(self, limit: int, transaction: Transaction) -> Sequence[Parked]:
        due = [parked for parked in _due(transaction, self._consumer, self._now) if parked.shard in self.positions]
        free = [parked for parked in due if transaction.is_free("parked", (self._consumer, parked.key))]
        chosen = sorted(free, key=lambda parked: parked.due_at)[:limit]
        for parked in chosen:
            transaction.lock("parked", (self._consumer, parked.key))
        return chosen


def _create_checkpoints(consumers: Sequence[str], transaction: Transaction) -> None:
    for consumer in consumers:
        for shard in range(SHARDS):
            if transaction.get("checkpoints", (consumer, shard)) is None:
                transaction.put("checkpoints", (consumer, shard), 0)


def _all_behind(now: datetime, transaction: Transaction) -> Collection[str]:
    consumers = dict.fromkeys(consumer for (consumer, _), _ in transaction.rows("checkpoints"))
    return [consumer for consumer in consumers if _backlog(consumer, now, transaction)]


def _backlog(consumer: str, now: datetime, transaction: Transaction) -> dict[int, list[int]]:
    """Return the positions after the checkpoint of each shard that is behind; retries alone have none."""
    found: dict[int, list[int]] = {}
    positions = [transaction.get("checkpoints", (consumer, shard)) for shard in range(SHARDS)]
    for position, row in transaction.rows("event_log"):
        if position > positions[row.shard]:
            found.setdefault(row.shard, []).append(position)
    for parked in _due(transaction, consumer, now):
        found.setdefault(parked.shard, [])
    return found


def _due(transaction: Transaction, consumer: str, now: datetime) -> list[Parked]:
    return [parked for (name, _), parked in transaction.rows("parked") if name == consumer and parked.is_due(now)]


def _claim(consumer: str, now: datetime, limit: int, transaction: Transaction) -> dict[int, int]:
    """Hold the free shards that together have about *limit* events, the oldest first; return their checkpoints."""
    backlog = _backlog(consumer, now, transaction)
    most = max(1, len(backlog) * limit // max(1, sum(min(limit, len(unread)) for unread in backlog.values())))
    oldest_first = sorted(backlog, key=lambda shard: backlog[shard][0] if backlog[shard] else 0)
    taken = [shard for shard in oldest_first if transaction.is_free("checkpoints", (consumer, shard))][:most]
    for shard in taken:
        transaction.lock("checkpoints", (consumer, shard))
    return {shard: transaction.get("checkpoints", (consumer, shard)) for shard in taken}
