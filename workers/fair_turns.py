"""So many at a time; whoever has the fewest under way comes next."""

import asyncio
from collections import Counter, deque
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from uuid import UUID


class FairTurns:
    """Among tenants with as many under way, it is the turn of whoever has waited longest; within one, of the first."""

    def __init__(self, most: int) -> None:
        self._free = most
        self._under_way: Counter[UUID] = Counter()
        self._waiting: dict[UUID, deque[asyncio.Future[None]]] = {}

    @asynccontextmanager
    async def turn(self, tenant_id: UUID) -> AsyncIterator[None]:
        """Wait for a turn, and have it until the block ends."""
        await self._enter(tenant_id)
        try:
            yield
        finally:
            self._leave(tenant_id)

    async def _enter(self, tenant_id: UUID) -> None:
        if self._free:
            self._free -= 1
            self._under_way[tenant_id] += 1
            return
        turn = asyncio.get_running_loop().create_future()
        self._waiting.setdefault(tenant_id, deque()).append(turn)
        try:
            await turn
        except asyncio.CancelledError:
            if turn.done() and not turn.cancelled():
                self._leave(tenant_id)  # it was given in the same moment
            raise

    def _leave(self, tenant_id: UUID) -> None:
        self._free += 1
        self._under_way -= Counter({tenant_id: 1})  # which forgets who has none
        while self._free and (turn := self._next()):
            turn.set_result(None)

    def _next(self) -> asyncio.Future[None] | None:
        """Give the next turn away."""
        while self._waiting:
            tenant_id = min(self._waiting, key=self._under_way.__getitem__)
            turns = self._waiting.pop(tenant_id)
            turn = turns.popleft()
            if turns:
                self._waiting[tenant_id] = turns  # behind the others
            if not turn.done():
                self._free -= 1
                self._under_way[tenant_id] += 1
                return turn
        return None
