"""Processes of the platform are killed at random, or stopped until they have been given up, under load."""

import os
import random
import re
import signal
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from uuid import UUID

import httpx2
import psutil
from sqlalchemy import text

from tests.bench.figures import percentile
from tests.chaos.evidence import Bound
from tests.chaos.opening import HOOK, SEED, Plan, Servers, open_stage
from tests.chaos.report import Result
from tests.chaos.stage import Stage
from tests.chaos.verdict import conclude

PICK_UP_S = 10.0
SLOW_HOOK = HOOK.replace("20_000", "200_000")

_GAVE_UP = re.compile(r'^rustok_jobs_total\{kind="alloy\.run",outcome="(?:lost|stopped)"\} (\S+)$', re.MULTILINE)

_HEAD = text("SELECT (SELECT coalesce(max(position), 0) FROM event_log) + (SELECT count(*) FROM outbox) AS position")
_BEATING = text("SELECT count(DISTINCT pid) AS workers FROM workers WHERE pid = ANY (CAST(:pids AS integer[]))")
_LEASED = text(
    "SELECT coalesce(array_agg(id), '{}') AS ids, coalesce(array_agg(lease_token), '{}') AS tokens"
    " FROM jobs WHERE state = 'leased'"
)
_IS_PICKED_UP = text(
    """
    SELECT NOT EXISTS (SELECT FROM jobs
                        WHERE id = ANY (CAST(:ids AS uuid[]))
                          AND (state = 'ready' OR lease_token = ANY (CAST(:tokens AS uuid[]))))
       AND NOT EXISTS (SELECT FROM checkpoints AS c CROSS JOIN LATERAL (
                       SELECT FROM event_log AS e
                        WHERE e.shard = c.shard AND e.position > c.position AND e.position <= :head LIMIT 1) AS unread)
       AS is_picked_up
    """
)


@dataclass(frozen=True, slots=True)
class UnderWay:
    """What was being done at one moment: all that had been written, and which jobs were held with which leases."""

    head: int
    ids: Sequence[UUID]
    tokens: Sequence[UUID]

    @classmethod
    def of(cls, stage: Stage) -> "UnderWay":
        leased = stage.ask(_LEASED)
        return cls(stage.ask(_HEAD).position, leased.ids, leased.tokens)

    def is_picked_up(self, stage: Stage) -> bool:
        """Tell whether every consumer is past it, and each job has ended or is in other hands."""
        values = {"head": self.head, "ids": list(self.ids), "tokens": list(self.tokens)}
        row = stage.ask(_IS_PICKED_UP, values)
        return row is not None and bool(row.is_picked_up)


def kill_processes(servers: Servers, *, kills: int, products_a_kill: int) -> Result:
    """SIGKILL of a relay, a worker or the API, whoever chance names, in the middle of a batch of writes.

    Each time all workers are at work: how soon one takes over from another is told, and not how long Python starts.
    """
    chance = random.Random(SEED)
    picked_up: list[tuple[float, str]] = []
    with open_stage(servers, Plan()) as stage:
        for _ in range(kills):
            stage.until(lambda: _are_at_work(stage))
            writing = stage.write(products_a_kill)
            stage.until_answered(chance.randint(1, products_a_kill // 2))
            under_way = UnderWay.of(stage)
            name = chance.choice(sorted(stage.processes.pids))
            os.kill(stage.processes.pids[name], signal.SIGKILL)
            picked_up.append((stage.until(partial(under_way.is_picked_up, stage)), name))
            stage.finish(writing)
        seconds = [pick_up_s for pick_up_s, _ in picked_up]
        return conclude(
            stage,
            {
                "kills": kills,
                "victims": Counter(name for _, name in picked_up),
                "pick_up_p50_s": round(percentile(seconds, 0.5), 2),
                "pick_up_p99_s": round(percentile(seconds, 0.99), 2),
                "slowest": [f"{name}: {pick_up_s:.1f} s" for pick_up_s, name in sorted(picked_up)[-5:]],
            },
            {"seconds to pick up after a kill, p99": Bound(percentile(seconds, 0.99), PICK_UP_S)},
        )


def _are_at_work(stage: Stage) -> bool:
    pids = {pid for name, pid in stage.processes.pids.items() if name.startswith("worker")}
    beating = stage.ask(_BEATING, {"pids": sorted(pids)})
    return len(pids) == len(stage.metrics_ports) == int(beating.workers)


def wake_zombies(servers: Servers, *, rounds: int, products: int, stopped_s: float) -> Result:
    """SIGSTOP of a relay and of a worker for longer than a lease, then SIGCONT: what comes late is refused."""
    with open_stage(servers, Plan(hook=SLOW_HOOK)) as stage:
        for number in range(rounds):
            relay, worker = f"relay {number % 2 + 1}", f"worker {number % 2 + 1}"
            zombies = [psutil.Process(stage.processes.pids[name]) for name in (relay, worker)]
            writing = stage.write(products)
            stage.until_answered(products // 4)
            stage.until(lambda: stage.ask(_LEASED).ids)
            for zombie in zombies:
                zombie.suspend()
            stage.pass_time(stopped_s)
            for zombie in zombies:
                zombie.resume()
            stage.finish(writing)
            stage.settle()
        refused = sum(map(_gave_up, stage.metrics_ports.values()))
        return conclude(stage, {"zombies": 2 * rounds, "stopped_s": stopped_s, "late_runs_refused": refused})


def _gave_up(port: int) -> float:
    """Return how many runs a worker did not commit because they were somebody else's by then."""
    metrics = httpx2.get(f"http://127.0.0.1:{port}/metrics").text
    return sum(float(count) for count in _GAVE_UP.findall(metrics))
