"""A log, a consumer's store and a handler that live in lists, for tests of the consumer's own logic."""

from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from typing import ClassVar
from uuid import UUID

from rustok.events.consumer import AggregatesFailed, Claim
from rustok.events.parking import Parked
from rustok.kernel.event import AggregateKey, Event, LoggedEvent
from rustok.testing import an_envelope

TENANT = UUID("01890a5d-ac96-774b-bcce-b302099a8057")
SHARD = 0

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
    """The events of one shard. `write("a", "b", "a")` appends a's version 1, b's version 1, a's version 2."""

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
    """Keeps effects, checkpoint and parked aggregates; a transaction works on copies and puts them in place."""

    def __init__(self, log: Log) -> None:
        self.log = log
        self.position = 0
        self.parked: dict[AggregateKey, Parked] = {}
        self.effects: Effects = []
        self.is_taken = False
        self.commits = 0
        self.before_release: Callable[[], None] = lambda: None

    async def is_behind(self, consumer: str, shard: int) -> bool:
        del consumer, shard
        return self.position < len(self.log.events)

    @asynccontextmanager
    async def claim(self, consumer: str, shard: int) -> AsyncIterator[Claim | None]:
        del consumer, shard
        if self.is_taken:
            yield None
            return
        claim = _ListClaim(self.log, self.position, dict(self.parked), list(self.effects))
        yield claim
        self.before_release()
        self.position, self.parked, self.effects = claim.checkpoint, claim.parked, claim.transaction
        self.commits += 1


class _ListClaim:
    def __init__(self, log: Log, position: int, parked: dict[AggregateKey, Parked], effects: Effects) -> None:
        self.transaction = effects
        self.position = self.checkpoint = position
        self.parked = parked
        self._log = log

    async def read(self, limit: int) -> list[LoggedEvent]:
        return self._log.events[self.position : self.position + limit]

    async def read_aggregate(self, parked: Parked) -> list[LoggedEvent]:
        waiting = self._log.events[parked.position - 1 : self.position]
        return [event for event in waiting if event.envelope.key == parked.key]

    @asynccontextmanager
    async def savepoint(self) -> AsyncIterator[None]:
        before = list(self.transaction)
        try:
            yield
        except BaseException:
            self.transaction[:] = before
            raise

    async def advance(self, position: int) -> None:
        self.checkpoint = position

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
