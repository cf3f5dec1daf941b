"""Dramatiq with its own Redis broker, as both come."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import dramatiq
from dramatiq.brokers.redis import RedisBroker

from tests.bench.peers.program import REDIS_URL, Marks, run_program

marks = Marks()
broker = RedisBroker(url=REDIS_URL)  # type: ignore[no-untyped-call] # Dramatiq's own
dramatiq.set_broker(broker)


def _noop(number: int) -> None:
    marks.add(number)


noop = dramatiq.actor(actor_name="noop", broker=broker)(_noop)


class _Queue:
    async def one(self, number: int) -> None:
        noop.send(number)


@asynccontextmanager
async def open_queue() -> AsyncIterator[_Queue]:
    yield _Queue()


if __name__ == "__main__":
    run_program(open_queue)
