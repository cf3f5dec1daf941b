"""Processes of the platform are killed at random, stopped until they have been given up, or restarted, under load."""

import os
import random
import re
import signal
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from uuid import UUID

import psutil
from sqlalchemy import text

from tests.bench.figures import percentile
from tests.chaos.evidence import Bound, Hits
from tests.chaos.opening import HOOK, SEED, Plan, Servers, open_stage
from tests.chaos.report import Result
from tests.chaos.stage import Stage, Wait, answers, look_for
from tests.chaos.verdict import conclude

PICK_UP_S = 10.0
ROLES = ("api", "relay", "worker")
SLOW_HOOK = HOOK.replace("20_000", "1_000_000")
_PATIENT = {"cpu_ms": 5_000, "wall_ms": 60_000}
"""Limits of a run that goes on while its worker is stopped, and is committed late."""
_MOST_TRIES = 6
_WAIT_FOR_JOBS_S = 2.0

_GAVE_UP = re.compile(r'^rustok_jobs_total\{kind="alloy\.run",outcome="(?:lost|stopped)"\} (\S+)$', re.MULTILINE)
"""Runs that a worker did not commit because they were somebody else's by then."""

_HEAD = text("SELECT (SELECT coalesce(max(position), 0) FROM event_log) + (SELECT count(*) FROM outbox) AS position")
_BEATING = text("SELECT count(DISTINCT pid) AS workers FROM workers WHERE pid = ANY (CAST(:pids AS integer[]))")
_IN_HAND = text("SELECT coalesce(max(jobs_in_hand), 0) AS jobs FROM workers WHERE pid = :pid")
_LEASED = text(
    "SELECT coalesce(array_agg(id), '{}') AS ids, coalesce(array_agg(lease_token), '{}') AS tokens"
    " FROM jobs WHERE state = 'leased'"
)
_CUT_SHORT = text("SELECT coalesce(sum(attempts - 1), 0) AS attempts FROM finished_jobs WHERE kind = 'alloy.run'")
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


def with_jobs(stage: Stage, until: Wait) -> UnderWay:
    """Return what is being done as soon as jobs are leased; after a while also without. *until* is how to wait."""
    look = partial(UnderWay.of, stage)
    return look_for(look, until, within_s=_WAIT_FOR_JOBS_S, suffices=lambda seen: seen.tokens)


@dataclass(frozen=True, slots=True)
class Kill:
    """Who was killed, when on the monotonic clock, and what was being done then."""

    name: str
    at_s: float
    under_way: UnderWay


class PickUps:
    """How many seconds it took after each kill until others had taken over, beside who was killed."""

    def __init__(self, stage: Stage) -> None:
        self.seconds: list[tuple[float, str]] = []
        self.with_leases = 0
        """Kills while jobs were leased."""
        self._stage = stage
        self._waiting: list[Kill] = []

    def wait_for(self, kill: Kill) -> None:
        """Look after this one, too."""
        self._waiting.append(kill)
        self.with_leases += bool(kill.under_way.tokens)

    def until(self, holds: Callable[[], object]) -> None:
        """Wait until *holds* does, as `Stage.until`, and note meanwhile what has been picked up."""

        def have_looked_and_holds() -> object:
            self._look()
            return holds()

        self._stage.until(have_looked_and_holds)

    def are_complete(self) -> bool:
        """Tell whether nothing waits."""
        return not self._waiting

    def _look(self) -> None:
        for kill in [kill for kill in self._waiting if kill.under_way.is_picked_up(self._stage)]:
            self._waiting.remove(kill)
            self.seconds.append((time.monotonic() - kill.at_s, kill.name))


def kill_processes(servers: Servers, *, kills: int, products_a_kill: int) -> Result:
    """SIGKILL of up to three processes in the middle of each batch of writes: of a relay, of a worker, of the API.

    Each time both relays and both workers are at work, and one of each is spared: how soon it takes over is told, and
    not how long Python starts. What a worker held may still be waiting for its lease to end when others die.
    """
    chance = random.Random(SEED)
    with open_stage(servers, Plan()) as stage:
        pick_ups = PickUps(stage)
        for roles in batches(kills, chance):
            pick_ups.until(partial(_are_at_work, stage))
            moments = sorted(chance.choices(range(1, products_a_kill), k=len(roles)))
            answered = len(stage.clients.answered_s)
            writing = stage.write(products_a_kill * len(roles))
            for role, moment in zip(roles, moments, strict=True):
                pick_ups.until(partial(_has_answered, stage, answered + moment))
                pick_ups.wait_for(_kill(stage, role, chance, with_jobs(stage, pick_ups.until)))
            pick_ups.until(writing.done)
            writing.result()
        pick_ups.until(pick_ups.are_complete)
        seconds = [pick_up_s for pick_up_s, _ in pick_ups.seconds]
        by_role = {
            role: percentile(of_role, 0.99)
            for role in ROLES
            if (of_role := [pick_up_s for pick_up_s, name in pick_ups.seconds if name.startswith(role)])
        }
        return conclude(
            stage,
            {
                "kills": kills,
                "victims": Counter(name for _, name in pick_ups.seconds),
                "pick_up_p50_s": round(percentile(seconds, 0.5), 2),
                "pick_up_p99_s": round(percentile(seconds, 0.99), 2),
                "pick_up_p99_s_by_role": {role: round(p99_s, 2) for role, p99_s in by_role.items()},
                "while_jobs_were_leased": pick_ups.with_leases,
                "slowest": [f"{name}: {pick_up_s:.1f} s" for pick_up_s, name in sorted(pick_ups.seconds)[-5:]],
            },
            {f"seconds to pick up after a kill of the {role}, p99": Bound(p, PICK_UP_S) for role, p in by_role.items()},
            controls={"kills while jobs were leased": Hits(pick_ups.with_leases, kills / 3)},
        )


def batches(kills: int, chance: random.Random) -> Iterator[Sequence[str]]:
    """Yield whom to kill together, one to three roles in their order, until there were *kills*.

    The API is the last: without it there are no writes for the others to die in the middle of.
    """
    while kills:
        roles = chance.sample(ROLES, min(kills, chance.randint(1, len(ROLES))))
        yield sorted(roles, key=lambda role: role == "api")
        kills -= len(roles)


def _kill(stage: Stage, role: str, chance: random.Random, under_way: UnderWay) -> Kill:
    name = chance.choice([name for name in sorted(stage.processes.pids) if name.startswith(role)])
    os.kill(stage.processes.pids[name], signal.SIGKILL)
    return Kill(name, time.monotonic(), under_way)


def _has_answered(stage: Stage, enough: int) -> bool:
    return len(stage.clients.answered_s) >= enough


def _are_at_work(stage: Stage) -> bool:
    """Tell whether every worker is on the list of workers, and every relay serves its metrics."""
    pids, ports = stage.processes.pids, stage.metrics_ports
    workers = sorted(pid for name, pid in pids.items() if name.startswith("worker"))
    return (
        ports.keys() <= pids.keys()
        and int(stage.ask(_BEATING, {"pids": workers}).workers) == len(workers)
        and all(answers(f"http://127.0.0.1:{port}/metrics") for port in ports.values())
    )


def wake_zombies(servers: Servers, *, rounds: int, products: int, stopped_s: float) -> Result:
    """SIGSTOP of a relay and of a worker for longer than a lease, then SIGCONT: what comes late is refused.

    A relay has nothing that could be refused: what it does is one statement. Whether a worker has something is known
    from what it said a moment ago: there are more rounds where one was stopped just after its work.
    """
    with open_stage(servers, Plan(hook=SLOW_HOOK, limits=_PATIENT)) as stage:
        number = refused = late_rounds = 0
        while number < rounds or (late_rounds < rounds and number < _MOST_TRIES * rounds):
            relay, worker = f"relay {number % 2 + 1}", f"worker {number % 2 + 1}"
            zombies = [psutil.Process(stage.processes.pids[name]) for name in (relay, worker)]
            writing = stage.write(products)
            stage.until_answered(products // 4)
            stage.until(partial(_is_busy, stage, worker))
            for zombie in zombies:
                zombie.suspend()
            stage.pass_time(stopped_s)
            for zombie in zombies:
                zombie.resume()
            stage.finish(writing)
            stage.settle()
            before, refused = refused, stage.counted(_GAVE_UP)
            late_rounds += refused > before
            number += 1
        return conclude(
            stage,
            {"zombies": 2 * number, "stopped_s": stopped_s, "late_runs_refused": refused},
            controls={"rounds in which late runs were refused": Hits(late_rounds, rounds)},
        )


def _is_busy(stage: Stage, worker: str) -> bool:
    """Tell whether *worker* had jobs in hand when it was last heard of, up to a second ago."""
    return bool(stage.ask(_IN_HAND, {"pid": stage.processes.pids[worker]}).jobs)


def restart_in_turn(servers: Servers, *, rounds: int) -> Result:
    """SIGTERM of every process in its turn, as in a roll-out: of each one when the one before has been replaced.

    A worker ends what it has in hand, or hands it back, so that no run needs a second attempt.
    """
    with open_stage(servers, Plan()) as stage:
        names = sorted(stage.processes.pids)
        with_leases = 0
        with stage.load(pause_s=0.2):
            for name in names * rounds:
                if name.startswith("worker"):
                    with_leases += bool(with_jobs(stage, stage.until).tokens)
                _restart(stage, name)
        stage.settle()
        return conclude(
            stage,
            {"restarts": rounds * len(names), "while_jobs_were_leased": with_leases},
            {"attempts that were cut short": Bound(stage.ask(_CUT_SHORT).attempts, 0)},
            controls={"workers told to stop while jobs were leased": Hits(with_leases, rounds)},
        )


def _restart(stage: Stage, name: str) -> None:
    """Replace a process by another one, which is at work then."""
    pid = stage.processes.pids[name]
    os.kill(pid, signal.SIGTERM)
    stage.until(lambda: stage.processes.pids.get(name, pid) != pid)
    stage.until(partial(_are_at_work, stage))
    stage.until_answered(1)
