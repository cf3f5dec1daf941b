"""The queues and what a message on them says: which consumer should look, which jobs are ready, and nothing else."""

from collections.abc import Collection, Iterable, Mapping, Sequence
from typing import Any
from uuid import UUID

from dramatiq import Message

from rustok.jobs.feeder import Window
from rustok.kernel.module import JobKind

CONSUME = "consume"
WORK = "work"

_CONSUME_PREFETCH = 8
"""Messages a process takes at a time: few, since one may be seconds of work and other processes may be idle."""
_JOBS_PREFETCH = 8
"""The same of jobs, for each lane: half of what the relay sends at a time, so that others have the rest."""
_CAP = 10_000
"""While no worker runs, hints would pile up for ever: the relay repeats those that still hold."""


_WINDOW = Window(400, 4_000)
_WINDOWS = {"scripts": Window(64, 64)}
"""A worker runs few scripts at a time: what it holds beyond these, others could be doing."""


def windows(queues: Iterable[str]) -> Mapping[str, Window]:
    """Return how many hints of a queue of the ledger may be on their way at a time."""
    return {queue: _WINDOWS.get(queue, _WINDOW) for queue in queues}


def job_queues(kinds: Iterable[JobKind]) -> Sequence[str]:
    """Return the queues of the ledger that these kinds go through."""
    return sorted({kind.queue for kind in kinds})


def prefetch(queues: Iterable[str]) -> Mapping[str, int]:
    """Return how many messages a worker takes at a time, by the name that the broker has for a queue."""
    return {CONSUME: _CONSUME_PREFETCH, **dict.fromkeys(streams(queues), _JOBS_PREFETCH)}


def threads(consuming: int, queues: Collection[str]) -> int:
    """Return how many threads leave *consuming* to consumers, whatever jobs are under way, and some to each lane.

    A message of jobs holds its thread until the last of them has ended. The thread only waits: it costs little.
    """
    return consuming + len(streams(queues)) * _JOBS_PREFETCH


def caps(queues: Iterable[str]) -> Mapping[str, int]:
    """Return how many messages a queue keeps at most."""
    return dict.fromkeys([CONSUME, *streams(queues)], _CAP)


def streams(queues: Iterable[str]) -> Sequence[str]:
    """Return the names that the broker has for queues of the ledger: each has two lanes."""
    return [_stream(queue, express=express) for queue in queues for express in (False, True)]


def _stream(queue: str, *, express: bool) -> str:
    return f"jobs.{queue}.express" if express else f"jobs.{queue}"


def consume_message(consumer: str) -> Message[Any]:
    """Return the wake-up of one consumer."""
    return Message(queue_name=CONSUME, actor_name=CONSUME, args=(consumer,), kwargs={}, options={})


def work_message(queue: str, job_ids: Sequence[UUID], *, express: bool = False) -> Message[Any]:
    """Return the hint that these jobs of a queue are ready."""
    ids = [str(job_id) for job_id in job_ids]
    return Message(queue_name=_stream(queue, express=express), actor_name=WORK, args=(ids,), kwargs={}, options={})
