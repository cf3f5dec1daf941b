"""A tenant that asks for many turns does not take those of others."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from uuid import UUID

import pytest

from rustok.kernel.ids import uuid7
from workers.fair_turns import FairTurns

A, B, C = (uuid7() for _ in range(3))


class Room:
    """Whoever is in it stays until he is told to go."""

    def __init__(self, most: int) -> None:
        self._turns = FairTurns(most)
        self._told: dict[asyncio.Task[None], asyncio.Event] = {}
        self.entered: list[UUID] = []

    def come(self, *tenants: UUID) -> list[asyncio.Task[None]]:
        return [self._come(tenant_id) for tenant_id in tenants]

    def _come(self, tenant_id: UUID) -> asyncio.Task[None]:
        told = asyncio.Event()
        visit = asyncio.create_task(self._visit(tenant_id, told))
        self._told[visit] = told
        return visit

    async def _visit(self, tenant_id: UUID, told: asyncio.Event) -> None:
        async with self._turns.turn(tenant_id):
            self.entered.append(tenant_id)
            await told.wait()

    async def go(self, *visits: asyncio.Task[None]) -> None:
        for visit in visits:
            self._told[visit].set()
        await self.settle()

    async def go_while(self, visit: asyncio.Task[None], then: Callable[[], object]) -> None:
        """Let one go, and do *then* before whoever has the turn now knows it."""
        self._told[visit].set()
        while not visit.done():  # noqa: ASYNC110 - before whoever waits for it hears of it
            await asyncio.sleep(0)
        then()
        await self.settle()

    async def settle(self) -> None:
        for _ in range(5):
            await asyncio.sleep(0)

    async def leave(self) -> None:
        for visit in self._told:
            visit.cancel()
        await asyncio.gather(*self._told, return_exceptions=True)


@asynccontextmanager
async def opened(most: int) -> AsyncIterator[Room]:
    room = Room(most)
    try:
        yield room
    finally:
        await room.leave()


async def test_so_many_have_a_turn_at_a_time() -> None:
    """Who is alone has all of them."""
    async with opened(2) as room:
        first, *_ = room.come(A, A, A)
        await room.settle()
        before = len(room.entered)

        await room.go(first)

        assert (before, len(room.entered)) == (2, 3)


async def test_whoever_has_the_fewest_under_way_comes_next() -> None:
    """However many others have waited for longer."""
    async with opened(2) as room:
        first, *_ = room.come(A, A, A, A, A, B)
        await room.settle()

        await room.go(first)

        assert room.entered == [A, A, B]


async def test_those_with_as_many_take_turns() -> None:
    """In the order in which they came."""
    async with opened(1) as room:
        visits = room.come(C, A, A, B, B)
        await room.settle()

        for visit in visits:
            await room.go(visit)

        assert room.entered == [C, A, B, A, B]


@pytest.mark.parametrize("goes_first", [True, False])
async def test_whoever_does_not_wait_any_more_takes_no_turn(*, goes_first: bool) -> None:
    """Also where it was given to him in the same moment."""
    async with opened(1) as room:
        here, waiting, behind = room.come(A, B, C)
        await room.settle()

        if goes_first:
            waiting.cancel()
            await room.go(here)
        else:
            await room.go_while(here, waiting.cancel)

        assert room.entered == [A, C]
        await room.go(behind)
        [late] = room.come(A)
        await room.settle()
        assert (room.entered, late.done()) == ([A, C, A], False)
