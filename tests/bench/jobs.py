"""Jobs that do nothing, beside other queues that do the same ones: what the way of a job costs."""

import asyncio
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

from tests.bench.arena import StartedJobs, open_arena
from tests.bench.contenders import OURS, PEERS, Contender, Missing, ProgramFailed, Programs, version
from tests.bench.figures import median, percentile
from tests.bench.peers.program import CONCURRENCY, Times
from tests.bench.stage import Stage
from tests.bench.table import Finding, Report, Target, shown

_ONE_BY_ONE = 300
_DRAIN_S = 4.0
_SPARSE, _SPARSE_A_SECOND = 20, 2.0
_BUSY, _BUSY_A_SECOND = 150, 50.0

_METHOD = (
    f"each queue in turn has a new database and an empty Redis on the same servers, one process that enqueues, and one "
    f"of workers that does {CONCURRENCY} jobs at a time, or more where that is its default (celery: {CONCURRENCY} "
    f"children); ours has its relay as well. Peers are configured as they come; graphile-worker once more with its "
    f"local queue of 500 and batched completion, awa once more as it is tuned for a hot queue. Our workers commit with "
    f"synchronous_commit off, as in production: a lease or an end that a crash loses is done again. A job notes its "
    f"number and the time. Enqueued: {_ONE_BY_ONE} calls, one after the other, then the rest of a backlog, 1,000 jobs "
    f"a call where the queue can. Jobs a second: the workers start on a backlog of {OURS.backlog:,} (celery: 4,000), "
    f"from the first start to the last, or for {_DRAIN_S:.0f} s. To start: from the return of the enqueuing call (of "
    f"durable queues: the commit) to the start of the job; one that starts sooner counts 0; sparse: one every 0.5 s. "
    f"Backlogs in turns of all queues, medians."
)

_AHEAD = Target(">=", 1.0)
_TARGETS = {
    "awa": _AHEAD,
    "procrastinate": _AHEAD,
    "graphile-worker": _AHEAD,
    "graphile-worker, batches": Target(">=", 0.5),
}


class _Backlog(NamedTuple):
    """How a contender enqueued a backlog and got through it, in one round."""

    jobs_a_second: float
    one_by_one_a_second: float
    enqueued_a_second: float


class _Waits(NamedTuple):
    """How long its jobs waited for their start while there was no backlog."""

    sparse_ms: Sequence[float]
    busy_ms: Sequence[float]


@dataclass(slots=True)
class _Found:
    backlogs: list[_Backlog] = field(default_factory=list)
    waits: list[_Waits] = field(default_factory=list)


def run(stage: Stage) -> Report:
    """Measure ours and every peer that is here, in turns."""
    return asyncio.run(_run(stage))


async def _run(stage: Stage) -> Report:
    present, notes = _present()
    found = {contender.name: _Found() for contender in present}
    for turn in range(stage.rounds(3)):
        for contender in [contender for contender in present if contender.name in found]:
            try:
                found[contender.name].backlogs.append(await _backlog(stage, contender))
                if turn == 0:
                    found[contender.name].waits.append(await _waits(stage, contender))
            except ProgramFailed as error:
                if contender is OURS:
                    raise
                del found[contender.name]
                notes.append(f"Left out: {contender.name}: {error}")
    summaries = {name: _Summary.of(theirs) for name, theirs in found.items()}
    return Report("jobs", _METHOD, _findings(summaries), [*(f"{name}: {s}." for name, s in summaries.items()), *notes])


def _present() -> tuple[Sequence[Contender], list[str]]:
    """Return who can take part here, and notes: the versions of these, and why others are left out."""
    present, versions, left_out = [], [], []
    for contender in (OURS, *PEERS):
        try:
            versions.append(version(contender))
        except Missing as error:
            left_out.append(f"Left out: {error}.")
        else:
            present.append(contender)
    return present, [f"Versions: {'; '.join(dict.fromkeys(filter(None, versions)))}.", *left_out]


async def _backlog(stage: Stage, contender: Contender) -> _Backlog:
    async with open_arena(stage, contender) as (programs, started, _):
        one_by_one = programs.enqueue(0, _ONE_BY_ONE)
        enqueued = programs.fill(_ONE_BY_ONE, contender.backlog - _ONE_BY_ONE)
        with programs.working():
            jobs_a_second = _drained_a_second(started, contender.backlog, stage.seconds(_DRAIN_S))
    return _Backlog(jobs_a_second, _a_second(one_by_one), _a_second(enqueued))


async def _waits(stage: Stage, contender: Contender) -> _Waits:
    async with open_arena(stage, contender) as (programs, started, _):
        with programs.working():
            programs.enqueue(0, 1)
            started.wait_for(1)
            sparse_ms = _to_start_ms(programs, started, 1, _SPARSE, _SPARSE_A_SECOND)
            busy_ms = _to_start_ms(programs, started, 1 + _SPARSE, _BUSY, _BUSY_A_SECOND)
    return _Waits(sparse_ms, busy_ms)


def _drained_a_second(started: StartedJobs, backlog: int, seconds: float) -> float:
    started.wait_for(1)
    started.wait_for(backlog, time.monotonic() + seconds)
    started_ns = sorted(started.read().values())
    return 1e9 * (len(started_ns) - 1) / (started_ns[-1] - started_ns[0])


def _to_start_ms(programs: Programs, started: StartedJobs, first: int, count: int, a_second: float) -> Sequence[float]:
    """Return the time to the start of each job, in milliseconds."""
    returned_ns = programs.enqueue(first, count, a_second).returned_ns
    started.wait_for(first + count)
    started_ns = started.read()
    return [max(0.0, (started_ns[first + place] - ns) / 1e6) for place, ns in enumerate(returned_ns)]


def _a_second(times: Times) -> float:
    return 1e9 * len(times.returned_ns) / (times.returned_ns[-1] - times.began_ns)


def _findings(summaries: "Mapping[str, _Summary]") -> list[Finding]:
    """Return our figures, the main ones beside those of each peer."""
    ours = summaries[OURS.name]
    peers = {peer.name: summaries[peer.name] for peer in PEERS if peer.name in summaries}
    return [
        *(
            Finding("no-op jobs", ours.jobs, "jobs/s", theirs.jobs, peer, _TARGETS.get(peer))
            for peer, theirs in peers.items()
        ),
        Finding("to start, sparse, p50", ours.sparse_p50_ms, "ms", target=Target("<=", 5, "ours")),
        *(
            Finding("to start, sparse, p50", ours.sparse_p50_ms, "ms", theirs.sparse_p50_ms, peer)
            for peer, theirs in peers.items()
        ),
    ]


class _Summary(NamedTuple):
    """The figures of one contender over all rounds."""

    jobs: float
    least_jobs: float
    most_jobs: float
    one_by_one: float
    enqueued: float
    sparse_p50_ms: float
    sparse_p99_ms: float
    busy_p50_ms: float
    busy_p99_ms: float

    @classmethod
    def of(cls, found: _Found) -> "_Summary":
        jobs = [round_.jobs_a_second for round_ in found.backlogs]
        sparse_ms = [ms for waits in found.waits for ms in waits.sparse_ms]
        busy_ms = [ms for waits in found.waits for ms in waits.busy_ms]
        return cls(
            jobs=median(jobs),
            least_jobs=min(jobs),
            most_jobs=max(jobs),
            one_by_one=median(round_.one_by_one_a_second for round_ in found.backlogs),
            enqueued=median(round_.enqueued_a_second for round_ in found.backlogs),
            sparse_p50_ms=median(sparse_ms),
            sparse_p99_ms=percentile(sparse_ms, 0.99),
            busy_p50_ms=median(busy_ms),
            busy_p99_ms=percentile(busy_ms, 0.99),
        )

    def __str__(self) -> str:
        return (
            f"{shown(self.jobs)} jobs/s ({shown(self.least_jobs)} to {shown(self.most_jobs)}); enqueued one by one "
            f"{shown(self.one_by_one)}/s, a backlog {shown(self.enqueued)}/s; to start, p50 / p99: sparse "
            f"{shown(self.sparse_p50_ms)} / {shown(self.sparse_p99_ms)} ms, at 50/s {shown(self.busy_p50_ms)} / "
            f"{shown(self.busy_p99_ms)} ms"
        )
