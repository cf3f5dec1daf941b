"""procrastinate: jobs in PostgreSQL, each fetched and ended by statements of its own."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from procrastinate import App, PsycopgConnector

from tests.bench.peers.program import DATABASE_URL, Marks, run_program

marks = Marks()
app = App(connector=PsycopgConnector(conninfo=DATABASE_URL))


async def _noop(number: int) -> None:
    marks.add(number)


noop = app.task(name="noop")(_noop)


class _Queue:
    async def one(self, number: int) -> None:
        await noop.defer_async(number=number)

    async def many(self, numbers: range) -> None:
        arguments: list[dict[str, Any]] = [{"number": number} for number in numbers]
        await noop.batch_defer_async(*arguments)


@asynccontextmanager
async def open_queue() -> AsyncIterator[_Queue]:
    async with app.open_async():
        yield _Queue()


if __name__ == "__main__":
    run_program(open_queue)
