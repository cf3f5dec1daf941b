"""Checkpoints of L0: in memory, moved when the transaction that holds the effects has committed."""

import asyncio
from collections import defaultdict
from collections.abc import AsyncIterator
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from typing import Any

from sqlalchemy.ext.asyncio import AsyncEngine

from rustok.db.transaction import Transaction, begin
from rustok.events.consumer import Claim
from rustok.events.parking import Parked
from rustok.kernel.event import AggregateKey, LoggedEvent
from rustok.kernel.transport import EventTransport


class MemoryConsumerStore:
    """The consumers' store of one process, over any transport."""

    def __init__(self, engine: AsyncEngine, transport: EventTransport) -> None:
        self._engine = engine
        self._transport = transport
        self._positions: dict[tuple[str, int], int] = defaultdict(int)
        self._parked: dict[tuple[str, int], dict[AggregateKey, Parked]] = defaultdict(dict)
        self._locks: dict[tuple[str, int], asyncio.Lock] = defaultdict(asyncio.Lock)

    async def is_behind(self, consumer: str, shard: int) -> bool:
        return bool(await self._transport.read(shard, self._positions[consumer, shard], 1))

    @asynccontextmanager
    async def claim(self, consumer: str, shard: int) -> AsyncIterator[Claim | None]:
        place = (consumer, shard)
        if self._locks[place].locked():
            yield None
            return
        async with self._locks[place]:
            async with begin(self._engine, "BEGIN") as (transaction, _):
                claim = _MemoryClaim(
                    transaction, self._transport, shard, self._positions[place], dict(self._parked[place])
                )
                yield claim
            self._positions[place] = claim.checkpoint
            self._parked[place] = claim.parked


class _MemoryClaim:
    def __init__(
        self,
        transaction: Transaction,
        transport: EventTransport,
        shard: int,
        position: int,
        parked: dict[AggregateKey, Parked],
    ) -> None:
        self.transaction = transaction
        self.position = self.checkpoint = position
        self.parked = parked
        self._transport = transport
        self._shard = shard

    async def read(self, limit: int) -> list[LoggedEvent]:
        return await self._transport.read(self._shard, self.position, limit)

    async def read_aggregate(self, parked: Parked) -> list[LoggedEvent]:
        span = self.position - parked.position + 1
        events = await self._transport.read(self._shard, parked.position - 1, span)
        return [e for e in events if e.envelope.key == parked.key and e.position <= self.position]

    def savepoint(self) -> AbstractAsyncContextManager[Any]:
        return self.transaction.savepoint()

    async def advance(self, position: int) -> None:
        self.checkpoint = position

    async def park(self, parked: Parked) -> None:
        self.parked[parked.key] = parked

    async def unpark(self, key: AggregateKey) -> None:
        del self.parked[key]
