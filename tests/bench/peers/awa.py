"""awa-pg: jobs in PostgreSQL, dispatched by a core in Rust. `prepare` and `work [tuned]` go through its Python."""

import asyncio
import signal
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

from awa import AsyncClient

from tests.bench.peers.program import DATABASE_URL, Marks, run_program

_TUNED = {"name": "default", "max_workers": 200, "claimers": 4, "claim_batch_size": 512}
"""For a hot queue, by its documentation; as many jobs at a time as our worker leases."""


@dataclass(frozen=True, slots=True)
class Noop:
    number: int


class _Queue:
    def __init__(self, client: AsyncClient) -> None:
        self._client = client

    async def one(self, number: int) -> None:
        await self._client.insert(Noop(number))

    async def many(self, numbers: range) -> None:
        await self._client.enqueue_many_copy([Noop(number) for number in numbers])


@asynccontextmanager
async def open_queue() -> AsyncIterator[_Queue]:
    client = AsyncClient(DATABASE_URL)
    try:
        yield _Queue(client)
    finally:
        await client.close()


async def _prepare() -> None:
    await AsyncClient(DATABASE_URL).migrate()
    async with _working():
        pass  # the first start of a worker is what chooses the storage of a new database


async def _work(**options: Any) -> None:
    stop = asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, stop.set)
    async with _working(**options):
        await stop.wait()


@asynccontextmanager
async def _working(**options: Any) -> AsyncIterator[None]:
    marks, client = Marks(), AsyncClient(DATABASE_URL)

    async def noop(job: Any) -> None:
        marks.add(job.args.number)

    client.task(Noop)(noop)
    await client.start(**options)
    try:
        yield
    finally:
        await client.shutdown()


if __name__ == "__main__":
    if sys.argv[1:] == ["prepare"]:
        asyncio.run(_prepare())
    elif sys.argv[1:] == ["work"]:
        asyncio.run(_work())
    elif sys.argv[1:] == ["work", "tuned"]:
        asyncio.run(_work(queues=[_TUNED], poll_interval_ms=20))
    else:
        run_program(open_queue)
