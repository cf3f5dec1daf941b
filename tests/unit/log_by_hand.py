"""A log, a consumer's store and a handler that live in lists, for tests of the consumer's own logic."""

from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from datetime import datetime
from typing import ClassVar
from uuid import UUID

from rustok.events.consumer import AggregatesFailed, Batch, Claim
from rustok.events.parking import Parked
from rustok.kernel.event import SHARDS, AggregateKey, Event, LoggedEvent
from rustok.testing import an_envelope

TENANT = UUID("01890a5d-ac96-774b-bcce-b302099a8057")

Effects = list[tuple[str, int]]
"""What the handler did: (aggregate's name, version), in order."""


class Turned(Event):
    """A wheel was turned."""

    type: ClassVar = "wheels.wheel.turned"
    aggregate: ClassVar = "wheel"
    example: ClassVar = {}


class Painted(Event):
    """A wheel was painted, which the consumer of these tests does not want to know."""

    type: ClassVar = "wheels.paint.dried"
    aggregate: ClassVar = "wheel"
    example: ClassVar = {}


def key_of(name: str) -> AggregateKey:
    """Return the key of the aggregate *name*, one letter."""
    return AggregateKey(TENANT, UUID(int=ord(name)))


def name_of(key: AggregateKey) -> str:
    return chr(key.aggregate_id.int)


class Log:
    """Events of many shards. `write("a", "b", "a")` appends a's version 1, b's version 1, a's version 2."""

    def __init__(self) -> None:
        self.events: list[LoggedEvent] = []
        self._versions: dict[str, int] = {}

    def write(self, *names: str, event: type[Event] = Turned) -> None:
        for name in names:
            version = self._versions[name] = self._versions.get(name, 0) + 1
            key = key_of(name)
            envelope = an_envelope(event, tenant_id=key.tenant_id, aggregate_id=key.aggregate_id, version=version)
            self.events.append(LoggedEvent(len(self.events) + 1, envelope))


class ListStore:
    """Keeps effects, checkpoints and parked aggregates; a transaction works on copies and puts them in place.

    A claim takes every shard that is behind and not in `held`, and passes over parked aggregates in `locked`.
    """

    def __init__(self, log: Log) -> None:
        self.log = log
        self.positions = dict.fromkeys(range(SHARDS), 0)
        self.parked: dict[AggregateKey, Parked] = {}
        self.effects: Effects = []
        self.held: set[int] = set()
        self.locked: set[AggregateKey] = set()
        self.commits = 0
        self.before_release: Callable[[], None] = lambda: None

    @property
    def unread(self) -> list[int]:
        """The positions of the events after the checkpoints."""
        return [e.position for e in self.log.events if e.position > self.positions[e.envelope.shard]]

    async def is_behind(self, consumer: str, now: datetime) -> bool:
        del consumer
        return bool(self._behind(now))

    @asynccontextmanager
    async def claim(self, consumer: str, now: datetime, limit: int) -> AsyncIterator[Claim | None]:
        del consumer, limit
        free = self._behind(now) - self.held
        if not free:
            yield None
            return
        positions = {shard: self.positions[shard] for shard in free}
        claim = _ListClaim(self, positions, now)
        yield claim
        self.before_release()
        self.positions.update(claim.advanced)
        self.parked, self.effects = claim.parked, claim.transaction
        self.commits += 1

    def _behind(self, now: datetime) -> set[int]:
        unread = {self.log.events[position - 1].envelope.shard for position in self.unread}
        return unread | {parked.shard for parked in self.parked.values() if parked.is_due(now)}


class _ListClaim:
    def __init__(self, store: ListStore, positions: Mapping[int, int], now: datetime) -> None:
        self.transaction = list(store.effects)
        self.positions = positions
        self.advanced: dict[int, int] = {}
        self.parked = dict(store.parked)
        self._log = store.log
        self._locked = store.locked
        self._now = now

    async def read(self, limit: int) -> Batch:
        claimed = [event for event in self._log.events if event.envelope.shard in self.positions]
        events = [event for event in claimed if event.position > self.positions[event.envelope.shard]][:limit]
        return Batch(events, self.parked, {event.envelope.shard: event.position for event in events})

    async def advance(self, positions: Mapping[int, int]) -> None:
        self.advanced.update(positions)

    async def due(self, limit: int) -> Sequence[Parked]:
        found = [p for p in self.parked.values() if p.shard in self.positions and p.key not in self._locked]
        due = [parked for parked in found if parked.is_due(self._now)]
        return sorted(due, key=lambda parked: parked.due_at)[:limit]

    async def read_aggregate(self, parked: Parked, limit: int) -> Sequence[LoggedEvent]:
        waiting = self._log.events[parked.position - 1 : self.positions[parked.shard]]
        return [event for event in waiting if event.envelope.key == parked.key][:limit]

    @asynccontextmanager
    async def savepoint(self) -> AsyncIterator[None]:
        before = list(self.transaction)
        try:
            yield
        except BaseException:
            self.transaction[:] = before
            raise

    async def park(self, parked: Parked) -> None:
        self.parked[parked.key] = parked

    async def unpark(self, key: AggregateKey) -> None:
        del self.parked[key]


class RecordingHandler:
    """Writes down each event; fails at the aggregates in `broken`, naming them or not."""

    name = "wheels.odometer"
    subscribes: tuple[str, ...] = ("wheels.wheel.*",)

    def __init__(self, *, names_the_culprits: bool = False) -> None:
        self.broken: Mapping[str, Exception] = {}
        self.batches: list[int] = []
        self._names_the_culprits = names_the_culprits

    async def handle(self, transaction: Effects, events: Sequence[LoggedEvent]) -> None:
        self.batches.append(len(events))
        failures = {e.envelope.key: self.broken[n] for e in events if (n := name_of(e.envelope.key)) in self.broken}
        if failures and self._names_the_culprits:
            raise AggregatesFailed(failures)
        for event in events:
            if event.envelope.key in failures:
                raise failures[event.envelope.key]
            transaction.append((name_of(event.envelope.key), event.envelope.aggregate_version))
