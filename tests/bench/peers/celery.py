"""celery on Redis. Jobs wait in a list; a worker acknowledges before it runs one, so a job dies with its worker."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from celery import Celery

from tests.bench.peers.program import REDIS_URL, Marks, run_program

marks = Marks()
app = Celery("bench", broker=REDIS_URL)


def _noop(number: int) -> None:
    marks.add(number)


noop = app.task(name="noop", ignore_result=True)(_noop)


class _Queue:
    async def one(self, number: int) -> None:
        noop.delay(number)


@asynccontextmanager
async def open_queue() -> AsyncIterator[_Queue]:
    yield _Queue()


if __name__ == "__main__":
    run_program(open_queue)
