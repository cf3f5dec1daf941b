"""What must hold after every schedule, and at every commit of it. The numbers are those of the delivery promise."""

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from rustok.events.parking import Parked, ParkedState
from rustok.kernel.event import AggregateKey, LoggedEvent
from tests.chaos.simulator.database import Change, Rows
from tests.chaos.simulator.job_store import JobRow
from tests.chaos.simulator.moments import doubled_moments, ghosts_of_moments, lost_moments
from tests.chaos.simulator.work import (
    CONSUMERS,
    EXIT,
    INDEX,
    JOURNAL,
    RAISE,
    REBUILD,
    TICK,
    Command,
    Document,
    Effect,
)

FRESH_WITHIN_S = 0.4
"""Without any fault an event takes effect before the sweep, which comes each second, would have to find it."""
MESSAGES_CAP = 60
"""Messages that may wait in Redis at a time: the windows of two relays several times over, and hints at consumers."""


@dataclass(frozen=True, slots=True)
class Violation:
    invariant: str
    what: str

    def __str__(self) -> str:
        return f"{self.invariant} is violated: {self.what}"


@dataclass(frozen=True, slots=True)
class Outcome:
    """What is left when a schedule has settled, and what its clients were told."""

    tables: dict[str, Rows]
    commands: Sequence[Command]
    answered: set[UUID]
    refused: set[UUID]
    longest_queue: int
    pending: str
    """What has not settled."""

    @property
    def log(self) -> list[LoggedEvent]:
        return [row.event for row in self.tables["event_log"].values()]

    @property
    def effects(self) -> list[Effect]:
        return [effect for _, effect in sorted(self.tables["effects"].items())]

    @property
    def jobs(self) -> dict[UUID, list[JobRow]]:
        """The jobs, ended or not, by the event that they are for."""
        found: dict[UUID, list[JobRow]] = {}
        for row in (*self.tables["jobs"].values(), *self.tables["finished_jobs"].values()):
            if row.job.kind is not TICK:
                found.setdefault(row.job.args["event"].event_id, []).append(row)
        return found

    def dead(self, consumer: str) -> dict[AggregateKey, Parked]:
        parked = self.tables["parked"].items()
        return {key: p for (name, key), p in parked if name == consumer and p.state is ParkedState.DEAD}

    def waits(self, consumer: str, event: LoggedEvent) -> bool:
        """Tell whether *event* stands behind the dead letter of its aggregate."""
        dead = self.dead(consumer).get(event.envelope.key)
        return dead is not None and event.position >= dead.position


def check(outcome: Outcome) -> Iterator[Violation]:
    """Find what is violated when everything has settled."""
    if outcome.pending:
        yield Violation("I8", f"it has not settled: {outcome.pending}")
        return  # what is still under way looks lost
    for name, found in (
        ("I1", _lost(outcome)),
        ("I2", _ghosts(outcome)),
        ("I3", _doubled(outcome)),
        ("I4", _reordered(outcome)),
        ("I5", _stale(outcome)),
        ("I6", _unaccounted(outcome)),
        ("I9", _over_their_caps(outcome)),
    ):
        yield from (Violation(name, what) for what in found)


def _lost(outcome: Outcome) -> Iterator[str]:
    logged = Counter(event.envelope.correlation_id for event in outcome.log)
    done, jobs = {(effect.by, effect.event_id) for effect in outcome.effects}, outcome.jobs
    for command in sorted(outcome.answered):
        if not logged[command]:
            yield f"the answered command {command} is not in the log"
    for event in outcome.log:
        if not outcome.waits(JOURNAL, event) and (JOURNAL, event.envelope.event_id) not in done:
            yield f"the event at {event.position} has not reached {JOURNAL}"
        if (JOURNAL, event.envelope.event_id) in done and event.envelope.event_id not in jobs:
            yield f"the job of the event at {event.position} was never made"
    for row in outcome.tables["jobs"].values():
        if row.state == "dead" and row.job.kind not in (RAISE, EXIT):
            yield f"the job {row.id} is a dead letter, and nothing was wrong with it"
    yield from _healthy_but_parked(outcome)
    yield from lost_moments(outcome.tables)


def _healthy_but_parked(outcome: Outcome) -> Iterator[str]:
    for consumer in CONSUMERS:
        poisoned = {command.key for command in outcome.commands if command.cannot.get(consumer)}
        for key in outcome.dead(consumer):
            if key not in poisoned:
                yield f"{key.aggregate_id} is parked by {consumer}, and nothing was wrong with it"


def _ghosts(outcome: Outcome) -> Iterator[str]:
    known = {command.id for command in outcome.commands} - outcome.refused
    for event in outcome.log:
        if event.envelope.correlation_id not in known:
            yield f"the event at {event.position} is of a command that was rolled back"
    logged = {event.envelope.event_id for event in outcome.log}
    for effect in outcome.effects:
        if effect.event_id not in logged:
            yield f"{effect.by} has done something for the event {effect.event_id}, which is not in the log"
    yield from ghosts_of_moments(outcome.tables)


def _doubled(outcome: Outcome) -> Iterator[str]:
    for (by, event_id), times in Counter((e.by, e.event_id) for e in outcome.effects).items():
        if times > 1:
            yield f"{by} has taken effect {times} times for the event {event_id}"
    for event_id, jobs in outcome.jobs.items():
        if len(jobs) > 1:
            yield f"{len(jobs)} jobs were made for the event {event_id}"
    for command, times in Counter(event.envelope.correlation_id for event in outcome.log).items():
        if times > 1:
            yield f"the command {command} was done {times} times"
    yield from doubled_moments(outcome.tables)


def _reordered(outcome: Outcome) -> Iterator[str]:
    last: dict[tuple[str, AggregateKey], int] = {}
    for event in outcome.log:
        version, key = event.envelope.aggregate_version, ("the log", event.envelope.key)
        if version != last.get(key, 0) + 1:
            yield f"version {version} comes after {last.get(key, 0)} in the log, of {event.envelope.aggregate_id}"
        last[key] = version
    for effect in outcome.effects:
        if effect.by != JOURNAL:
            continue  # jobs have no order
        if effect.version <= last.get((JOURNAL, effect.key), 0):
            yield f"{JOURNAL} has seen version {effect.version} of {effect.key.aggregate_id} after a later one"
        last[JOURNAL, effect.key] = effect.version


def _stale(outcome: Outcome) -> Iterator[str]:
    """Compare the index with the source, and both with what the log alone makes of it."""
    rebuilt = {
        event.envelope.key: (event.envelope.aggregate_version, event.envelope.payload["value"]) for event in outcome.log
    }
    parked = outcome.dead(INDEX)
    for key in sorted({*rebuilt, *outcome.tables["sources"], *outcome.tables["documents"]}):
        source, document = outcome.tables["sources"].get(key), outcome.tables["documents"].get(key)
        states = [source and (source.version, source.value), rebuilt.get(key)]
        states += [] if key in parked else [document and (document.version, document.value)]
        if len(set(states)) > 1:
            yield f"source, log and index of {key.aggregate_id} differ: {states}"


def _unaccounted(outcome: Outcome) -> Iterator[str]:
    """Every event is done or behind a dead letter, at every consumer; every job that was made has ended or is dead."""
    done = sum(effect.by == JOURNAL for effect in outcome.effects)
    waiting = sum(outcome.waits(JOURNAL, event) for event in outcome.log)
    if done + waiting != len(outcome.log):
        yield f"of {len(outcome.log)} events {JOURNAL} has done {done}, and {waiting} wait"
    counted = {effect.event_id for effect in outcome.effects if effect.by not in CONSUMERS}
    for event_id, jobs in outcome.jobs.items():
        for row in jobs:
            if row.job.kind is not REBUILD and (row.state == "done") != (event_id in counted):
                yield f"the job {row.id} is {row.state}, and its effect is {'there' if event_id in counted else 'not'}"


def _over_their_caps(outcome: Outcome) -> Iterator[str]:
    if outcome.longest_queue > MESSAGES_CAP:
        yield f"{outcome.longest_queue} messages waited in Redis"
    if outcome.tables["outbox"]:
        yield f"{len(outcome.tables['outbox'])} events are still in the outbox"


class Watch:
    """Looks at every row that a commit changes. *watches_age*: nothing fails, so that nothing has to wait."""

    def __init__(self, *, watches_age: bool) -> None:
        self.found: list[Violation] = []
        self._watches_age = watches_age
        self._holders: dict[UUID, str] = {}
        self._staged: dict[UUID, datetime] = {}

    def look(self, change: Change, by: str, now: datetime) -> None:
        table, _, before, after = change
        if table == "outbox" and after:
            self._staged[after.event_id] = now
        elif table == "effects" and self._watches_age:
            self._look_at_age(after, now)
        elif table == "documents":
            self._look_at_document(before, after)
        elif table == "jobs":
            self._look_at_job(before, after, by, now)

    def _look_at_age(self, effect: Effect, now: datetime) -> None:
        age_s = (now - self._staged[effect.event_id]).total_seconds()
        if effect.by == JOURNAL and age_s > FRESH_WITHIN_S:
            self.found.append(Violation("I8", f"an event waited {age_s:.1f} s for {JOURNAL}, and nothing had failed"))

    def _look_at_document(self, before: Document | None, after: Document | None) -> None:
        if before and (after is None or after.version < before.version):
            self.found.append(Violation("I4", f"a document went back from {before} to {after}"))

    def _look_at_job(self, before: JobRow | None, after: JobRow | None, by: str, now: datetime) -> None:
        """While a lease runs, it is its holder's alone; only the grant of a lease counts an attempt."""
        if after and after.token and (before is None or after.token != before.token):
            self._holders[after.token] = by
        if before and before.token and before.lease_expires_at and before.lease_expires_at > now:
            holder = self._holders[before.token]
            if by != holder and _lease(before) != _lease(after):
                self.found.append(
                    Violation("I3", f"{by} took the job {before.id} from {holder} before its lease ran out")
                )
        if before and after and before.state == after.state and before.attempts != after.attempts:
            self.found.append(Violation("I6", f"{by} counted an attempt of the job {before.id} without a lease"))


def _lease(row: JobRow | None) -> Any:
    return row and (row.token, row.lease_expires_at)
