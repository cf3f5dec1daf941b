"""Events start runs: a durable job for each event and script, made in the transaction that moves the checkpoint."""

from collections import Counter, defaultdict
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from datetime import datetime
from typing import Any, NamedTuple
from uuid import UUID

from rustok.db.transaction import Transaction
from rustok.jobs import Asker, NewJob, enqueue_for
from rustok.kernel.event import Envelope, LoggedEvent
from rustok.kernel.ids import uuid7
from rustok.modules.alloy import documents, run_repository
from rustok.modules.alloy.kinds import RUN
from rustok.modules.alloy.triggers import EventTrigger, event_triggers, is_triggered, read_triggers

DEPTH_LIMIT = 8
"""Scripts that start each other: the ninth of a chain is not begun."""
_SCRIPT = "script:"


class _Listener(NamedTuple):
    script_id: UUID
    triggers: Sequence[EventTrigger]
    active_since: datetime


class _Start(NamedTuple):
    event: Envelope
    script_id: UUID
    depth: int

    @property
    def run_id(self) -> UUID:
        return documents.run_id_of(self.event.event_id, self.script_id)


async def start_runs(transaction: Transaction, events: Sequence[LoggedEvent]) -> None:
    """Make a run for each event and each active script that one of its triggers means."""
    envelopes = [event.envelope for event in events]
    rows = await run_repository.listening_scripts(transaction, {e.tenant_id for e in envelopes})
    listeners = _by_tenant(rows)
    meant = [(e, script_id) for e in envelopes for script_id in _meant(e, listeners.get(e.tenant_id, ()))]
    if not meant:
        return
    depths = await _depths(transaction, [event for event, _ in meant])
    starts = [_Start(event, script_id, depths.get(event.causation_id, 0) + 1) for event, script_id in meant]
    with_quota = {row.tenant_id for row in rows if row.has_quota}
    await _enqueue(transaction, [start for start in starts if start.depth <= DEPTH_LIMIT], with_quota)
    if looping := [_loop_attempt(start) for start in starts if start.depth > DEPTH_LIMIT]:
        await run_repository.insert_attempts(transaction, looping)


def _by_tenant(rows: Iterable[Any]) -> Mapping[UUID, list[_Listener]]:
    listeners = defaultdict(list)
    for row in rows:
        triggers = event_triggers(read_triggers(row.triggers))
        listeners[row.tenant_id].append(_Listener(row.id, triggers, row.active_since))
    return listeners


def _meant(event: Envelope, listeners: Iterable[_Listener]) -> Iterator[UUID]:
    """Yield the scripts that *event* starts; what happened before a script was active is none of its business."""
    for listener in listeners:
        if event.occurred_at > listener.active_since and any(is_triggered(t, event) for t in listener.triggers):
            yield listener.script_id


async def _depths(transaction: Transaction, events: Iterable[Envelope]) -> Mapping[UUID, int]:
    """Return how deep the runs were that caused events: the cause of a script's event is its run."""
    caused = [event for event in events if event.actor.startswith(_SCRIPT)]
    if not caused:
        return {}
    return await run_repository.depths(transaction, {e.tenant_id for e in caused}, {e.causation_id for e in caused})


async def _enqueue(transaction: Transaction, starts: Sequence[_Start], with_quota: Collection[UUID]) -> None:
    """Make the jobs of *starts*; those of tenants *with_quota* when a minute has room for them."""
    booked = Counter(start.event.tenant_id for start in starts if start.event.tenant_id in with_quota)
    due_at = await run_repository.book_runs(transaction, booked) if booked else {}
    moments = {tenant_id: iter(times) for tenant_id, times in due_at.items()}
    jobs = [(_asker(s), _job(s, next(moments.get(s.event.tenant_id, iter(())), None))) for s in starts]
    await enqueue_for(transaction, jobs)


def _asker(start: _Start) -> Asker:
    return Asker(
        tenant_id=start.event.tenant_id,
        actor=f"{_SCRIPT}{start.script_id}",
        correlation_id=start.event.correlation_id,
        causation_id=start.event.event_id,
        traceparent=start.event.traceparent,
    )


def _job(start: _Start, due_at: datetime | None) -> NewJob:
    args = {"script_id": start.script_id, "event": documents.of_event(start.event), "depth": start.depth}
    return NewJob(id=start.run_id, kind=RUN, args=args, due_at=due_at)


def _loop_attempt(start: _Start) -> dict[str, Any]:
    """Return the record of a run that is not begun, for the author to find."""
    error = {
        "code": "loop_detected",
        "message": f"{start.depth} of {DEPTH_LIMIT} scripts in a row started each other",
        "limit": DEPTH_LIMIT,
        "used": start.depth,
        "line": None,
        "hint": "do nothing when nothing is to be changed, or where event['actor'] begins with script:",
    }
    return {
        "tenant_id": start.event.tenant_id,
        "id": uuid7(),
        "run_id": start.run_id,
        "attempt": 0,
        "script_id": start.script_id,
        "script_version": None,
        "event_type": start.event.type,
        "event_id": start.event.event_id,
        "depth": start.depth,
        "outcome": error["code"],
        "result": None,
        "error": error,
        "effects": [],
        "logs": [],
        "usage": {},
        "correlation_id": start.event.correlation_id,
        "started_at": start.event.occurred_at,
        "finished_at": start.event.occurred_at,
    }
