"""What every queue under test is enqueued with: a program with the same arguments and answers for all of them.

    python -m tests.bench.peers.NAME enqueue FIRST COUNT A_SECOND
    python -m tests.bench.peers.NAME fill FIRST COUNT A_SECOND

Each enqueues no-op jobs with numbers of their own, at a rate, or (0) as fast as calls return: `enqueue` one after the
other, `fill` many at a time, where the queue has a way to. Both print when (`Times`) as JSON.
"""

import argparse
import asyncio
import json
import os
import struct
import time
from collections.abc import Awaitable, Callable, Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import asdict, dataclass
from typing import Protocol

DATABASE_URL = os.environ.get("BENCH_DATABASE_URL", "")
REDIS_URL = os.environ.get("BENCH_REDIS_URL", "")
CONCURRENCY = 8
"""Jobs that a worker process does at a time, where the queue would do fewer by itself."""
MARK = struct.Struct("<qq")
"""The number of a job, and when it started: nanoseconds of the clock that all processes of a machine share."""
_FILL = 1_000
_CALLS_A_SECOND = 50
"""Of many jobs at a time, at a rate."""


@dataclass(frozen=True, slots=True)
class Times:
    """When the first call began, and when each call returned; nanoseconds, as in `MARK`."""

    began_ns: int
    returned_ns: Sequence[int]


class Enqueuer(Protocol):
    async def one(self, number: int) -> None:
        """Enqueue a job; when this returns, it will be done."""


class BulkEnqueuer(Enqueuer, Protocol):
    async def many(self, numbers: range) -> None:
        """Enqueue jobs together."""


class Marks:
    """Notes that a job has started. What it costs is the same for everybody: one write to a file."""

    def __init__(self) -> None:
        self._file = -1

    def add(self, number: int) -> None:
        if self._file < 0:  # opened by the process that works, not by one that forks it
            self._file = os.open(os.environ["BENCH_MARKS"], os.O_WRONLY | os.O_APPEND | os.O_CREAT)
        os.write(self._file, MARK.pack(number, time.monotonic_ns()))


def run_program(open_queue: Callable[[], AbstractAsyncContextManager[Enqueuer]]) -> None:
    """Do what the arguments say. *open_queue* connects, and disconnects on leaving."""
    parser = argparse.ArgumentParser()
    parser.add_argument("role", choices=("enqueue", "fill"))
    parser.add_argument("first", type=int)
    parser.add_argument("count", type=int)
    parser.add_argument("a_second", type=float)
    arguments = parser.parse_args()
    numbers = range(arguments.first, arguments.first + arguments.count)

    async def run() -> Times:
        async with open_queue() as queue:
            if arguments.role == "enqueue":
                return await _one_by_one(queue.one, numbers, arguments.a_second)
            return await _together(queue.many, numbers, arguments.a_second)  # type: ignore[attr-defined] # asked of bulk ones only

    print(json.dumps(asdict(asyncio.run(run()))))  # noqa: T201 - the answer


async def _one_by_one(enqueue: Callable[[int], Awaitable[None]], numbers: range, a_second: float) -> Times:
    return await _in_chunks(lambda chunk: enqueue(chunk[0]), numbers, 1, a_second)


async def _together(enqueue: Callable[[range], Awaitable[None]], numbers: range, a_second: float) -> Times:
    return await _in_chunks(enqueue, numbers, max(1, int(a_second / _CALLS_A_SECOND)) if a_second else _FILL, a_second)


async def _in_chunks(enqueue: Callable[[range], Awaitable[None]], numbers: range, size: int, a_second: float) -> Times:
    began_ns, returned_ns = time.monotonic_ns(), []
    for start in range(0, len(numbers), size):
        if a_second:
            await asyncio.sleep(max(0.0, (began_ns - time.monotonic_ns()) / 1e9 + start / a_second))
        chunk = numbers[start : start + size]
        await enqueue(chunk)
        returned_ns += [time.monotonic_ns()] * len(chunk)
    return Times(began_ns, returned_ns)
