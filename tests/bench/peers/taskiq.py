"""taskiq with taskiq-redis: streams, whose entries are acknowledged."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from taskiq_redis import RedisStreamBroker

from tests.bench.peers.program import REDIS_URL, Marks, run_program

marks = Marks()
broker = RedisStreamBroker(REDIS_URL)


async def _noop(number: int) -> None:
    marks.add(number)


noop = broker.task(task_name="noop")(_noop)


class _Queue:
    async def one(self, number: int) -> None:
        await noop.kiq(number)


@asynccontextmanager
async def open_queue() -> AsyncIterator[_Queue]:
    await broker.startup()
    try:
        yield _Queue()
    finally:
        await broker.shutdown()


if __name__ == "__main__":
    run_program(open_queue)
