"""Makes the jobs of schedules that are due: for which of the moments that passed, and when they are due again."""

from collections.abc import Callable, Collection, Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, NamedTuple, Protocol
from uuid import UUID

import structlog

from rustok.db.failures import describe, is_transient
from rustok.jobs.cron import moments_between, next_due
from rustok.jobs.ledger import Asker, NewJob
from rustok.jobs.schedules import Missed
from rustok.kernel.ids import uuid7
from rustok.kernel.module import JobKind
from rustok.kernel.ports import Clock

log = structlog.get_logger(__name__)

GRACE = timedelta(minutes=1)
MOST_MADE_UP = 100


@dataclass(frozen=True, slots=True)
class DueSchedule:
    """A schedule whose moment `due_at` has come; `now` is the store's time, `last_due_at` became a job last."""

    tenant_id: UUID
    id: UUID
    kind: str
    args: Mapping[str, Any]
    cron: str
    timezone: str
    missed: Missed
    due_at: datetime
    last_due_at: datetime | None
    actor: str
    is_off: bool
    now: datetime


class Following(NamedTuple):
    """When a schedule is due again, None for never; and the last moment that became a job."""

    tenant_id: UUID
    id: UUID
    due_at: datetime | None
    last_due_at: datetime | None


class HeldSchedules(Protocol):
    """Schedules that are due, and nobody else's until the end of the block that `hold_due` opens."""

    @property
    def due(self) -> Sequence[DueSchedule]: ...

    async def make(self, jobs: Sequence[tuple[Asker, NewJob]]) -> None:
        """Make jobs, as `enqueue_for` does."""

    async def advance(self, following: Sequence[Following]) -> None:
        """Let held schedules be due again."""


class ScheduleStore(Protocol):
    def hold_due(self, kinds: Collection[str]) -> AbstractAsyncContextManager[HeldSchedules]:
        """Hold up to a hundred schedules of *kinds* that are due and free, the longest due first.

        What was made of them is committed on leaving, all together, or rolled back on an exception.
        """


class Scheduler:
    """Makes the jobs that are due, each once however many relays look.

    The schedule is held meanwhile, and the jobs and its next moment are committed together. *new_id* gives ids to
    jobs and to the chains of causes that begin with them.
    """

    def __init__(
        self,
        kinds: Mapping[str, JobKind],
        store: ScheduleStore,
        clock: Clock,
        interval_s: float = 1.0,
        new_id: Callable[[], UUID] = uuid7,
    ) -> None:
        self._kinds = kinds
        self._store = store
        self._clock = clock
        self._interval_s = interval_s
        self._new_id = new_id

    async def run(self) -> None:
        """Look until cancelled. A failing server is waited for."""
        while True:
            try:
                while await self.run_once():
                    pass  # one turn is a hundred schedules at most, and they may all be due at midnight
            except Exception as error:
                if not is_transient(error):
                    raise
                log.warning("scheduler_waited", reason=describe(error))
            await self._clock.sleep(self._interval_s)

    async def run_once(self) -> int:
        """Make what is due now and return how many schedules that were."""
        async with self._store.hold_due(self._kinds.keys()) as held:
            turns = [_turn(schedule) for schedule in held.due]
            if turns:
                await held.make([self._job(turn.schedule, moment) for turn in turns for moment in turn.moments])
                await held.advance([_following(turn) for turn in turns])
        return len(turns)

    def _job(self, schedule: DueSchedule, moment: datetime) -> tuple[Asker, NewJob]:
        asker = Asker(
            tenant_id=schedule.tenant_id, actor=schedule.actor, correlation_id=self._new_id(), causation_id=None
        )
        # With a key, or they would pile up while no worker runs.
        key = None if schedule.missed == "all" else str(schedule.id)
        args = {**schedule.args, "due_at": moment}
        return asker, NewJob(kind=self._kinds[schedule.kind], args=args, id=self._new_id(), dedup_key=key)


class _Turn(NamedTuple):
    """What is to be done for a schedule: the moments that become jobs, and when it is due again."""

    schedule: DueSchedule
    moments: Sequence[datetime]
    due_at: datetime | None


def _turn(due: DueSchedule) -> _Turn:
    """Return what is to be done: it is never due again, if this release cannot read it any more."""
    try:
        following = next_due(due.cron, due.timezone, due.now)
        passed = [due.due_at, *moments_between(due.cron, due.timezone, due.due_at, due.now, MOST_MADE_UP)]
        return _Turn(due, () if due.is_off else _made_up(due.missed, passed, due.now), following)
    except Exception:
        # One tenant's schedule must not stop those of the others. It is due again when somebody writes it anew.
        log.exception("schedule_parked", tenant_id=str(due.tenant_id), schedule_id=str(due.id))
        return _Turn(due, () if due.is_off else (due.due_at,), None)


def _made_up(missed: Missed, passed: Sequence[datetime], now: datetime) -> Sequence[datetime]:
    if missed == "all":
        return passed[-MOST_MADE_UP:]
    if missed == "skip" and now - passed[-1] > GRACE:
        return ()
    return passed[-1:]


def _following(turn: _Turn) -> Following:
    schedule = turn.schedule
    last_due_at = turn.moments[-1] if turn.moments else schedule.last_due_at
    return Following(schedule.tenant_id, schedule.id, turn.due_at, last_due_at)
