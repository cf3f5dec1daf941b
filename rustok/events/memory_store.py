"""Checkpoints of L0: in memory, moved when the transaction that holds the effects has committed."""

from collections import defaultdict
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass, field
from datetime import datetime
from math import inf
from typing import Any

from sqlalchemy.ext.asyncio import AsyncEngine

from rustok.db.transaction import Transaction, begin
from rustok.events.consumer import Batch, Claim
from rustok.events.parking import Parked
from rustok.kernel.event import SHARDS, AggregateKey, LoggedEvent, shard_of
from rustok.kernel.transport import EventTransport


@dataclass(slots=True)
class _Shard:
    """What one consumer remembers of a shard."""

    position: int = 0
    parked: dict[AggregateKey, Parked] = field(default_factory=dict)

    def has_due(self, now: datetime) -> bool:
        return any(parked.is_due(now) for parked in self.parked.values())


class MemoryConsumerStore:
    """The consumers' store of one process, over any transport."""

    def __init__(self, engine: AsyncEngine, transport: EventTransport) -> None:
        self._engine = engine
        self._transport = transport
        self._shards: dict[str, list[_Shard]] = defaultdict(lambda: [_Shard() for _ in range(SHARDS)])
        self._held: dict[str, set[int]] = defaultdict(set)

    async def is_behind(self, consumer: str, now: datetime) -> bool:
        return bool(await self._behind(consumer, now, limit=1))

    @asynccontextmanager
    async def claim(self, consumer: str, now: datetime, limit: int) -> AsyncIterator[Claim | None]:
        behind = await self._behind(consumer, now, limit)
        # Nothing is awaited from here until the shards are held: nobody comes in between.
        taken = _fill_a_batch(behind, self._held[consumer], limit)
        if not taken:
            yield None
            return
        self._held[consumer].update(taken)
        try:
            async with begin(self._engine, "BEGIN") as (transaction, _):
                claim = _MemoryClaim(transaction, self._transport, self._copy(consumer, taken), now)
                yield claim
            for shard, changed in claim.shards.items():
                self._shards[consumer][shard] = changed
        finally:
            self._held[consumer].difference_update(taken)

    async def _behind(self, consumer: str, now: datetime, limit: int) -> dict[int, Sequence[LoggedEvent]]:
        """Return the next events of each shard that is behind; retries alone make a shard without events."""
        found: dict[int, Sequence[LoggedEvent]] = {}
        for number, shard in enumerate(self._shards[consumer]):
            events = await self._transport.read(number, shard.position, limit)
            if events or shard.has_due(now):
                found[number] = events
        return found

    def _copy(self, consumer: str, taken: Sequence[int]) -> dict[int, _Shard]:
        shards = self._shards[consumer]
        return {number: _Shard(shards[number].position, dict(shards[number].parked)) for number in taken}


def _fill_a_batch(behind: Mapping[int, Sequence[LoggedEvent]], held: set[int], limit: int) -> list[int]:
    """Return the free shards that together have about *limit* events, the oldest events first."""
    total = sum(map(len, behind.values()))
    count = max(1, len(behind) * limit // max(1, total))
    oldest_first = sorted(behind, key=lambda shard: behind[shard][0].position if behind[shard] else inf)
    return [shard for shard in oldest_first if shard not in held][:count]


class _MemoryClaim:
    """Works on copies of the shards, which the store puts in place after the commit."""

    def __init__(
        self, transaction: Transaction, transport: EventTransport, shards: dict[int, _Shard], now: datetime
    ) -> None:
        self.transaction = transaction
        self.shards = shards
        self.positions = {number: shard.position for number, shard in shards.items()}
        self._transport = transport
        self._now = now

    async def read(self, limit: int) -> Batch:
        found = [await self._transport.read(shard, position, limit) for shard, position in self.positions.items()]
        events = sorted((e for of_shard in found for e in of_shard), key=lambda event: event.position)[:limit]
        keys = {event.envelope.key for event in events}
        parked = {key for shard in self.shards.values() for key in shard.parked if key in keys}
        return Batch(events, parked, {event.envelope.shard: event.position for event in events})

    async def advance(self, positions: Mapping[int, int]) -> None:
        for shard, position in positions.items():
            self.shards[shard].position = position

    async def due(self, limit: int) -> Sequence[Parked]:
        due = [p for shard in self.shards.values() for p in shard.parked.values() if p.is_due(self._now)]
        return sorted(due, key=lambda parked: parked.due_at)[:limit]

    async def read_aggregate(self, parked: Parked, limit: int) -> Sequence[LoggedEvent]:
        last = self.positions[parked.shard]
        events = await self._transport.read(parked.shard, parked.position - 1, last - parked.position + 1)
        return [e for e in events if e.envelope.key == parked.key and e.position <= last][:limit]

    def savepoint(self) -> AbstractAsyncContextManager[Any]:
        return self.transaction.savepoint()

    async def park(self, parked: Parked) -> None:
        self.shards[parked.shard].parked[parked.key] = parked

    async def unpark(self, key: AggregateKey) -> None:
        del self.shards[shard_of(key)].parked[key]
