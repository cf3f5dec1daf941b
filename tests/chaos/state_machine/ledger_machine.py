"""Anything that workers, operators and chance may do to jobs, in any order; after each step the ledger is its model."""

from collections.abc import Callable, Coroutine, Sequence
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

import pytest
from hypothesis import strategies as st
from hypothesis.stateful import (
    Bundle,
    MultipleResults,
    RuleBasedStateMachine,
    initialize,
    invariant,
    multiple,
    precondition,
    rule,
)
from sqlalchemy.exc import DBAPIError

from rustok.jobs import Leased, LeaseLost, NewJob, fail, hand_back, put_off
from rustok.jobs.desk import purge_waiting
from rustok.jobs.ledger import park_unknown
from rustok.jobs.limits import clear_limit, set_limit
from rustok.jobs.newer_kinds import take_up_jobs
from rustok.jobs.operations import OperationNotFound
from rustok.jobs.pauses import Scope, pause, resume
from rustok.kernel.module import JobKind
from tests.chaos.state_machine.ledger_model import OPEN, Asked, Job, LedgerModel
from tests.chaos.state_machine.ledger_world import LEASE_S, LedgerWorld

SUM = JobKind(name="tenants.sum", summary="Add", queue="sums", max_attempts=2)
POST = JobKind(name="tenants.post", summary="Send", queue="letters", max_attempts=1)
NEVER = datetime(2999, 1, 1, tzinfo=UTC)
HOUR_S = 3600.0

tenants = st.sampled_from((0, 1))
kinds = st.sampled_from((SUM, SUM, POST))
places = st.integers(0, 3)
asked_jobs = Bundle[Asked]("asked_jobs")
more_jobs = st.lists(asked_jobs, max_size=3)
leases = Bundle[Leased]("leases")
"""Every lease that was ever granted: most are stale, and whoever still believes in one may do anything with it."""
more_leases = st.lists(leases, max_size=2)
FEW_JOBS = 4
"""That have not ended. More would be granted and lost less often, each."""
PAUSES = ({"kind": POST.name}, {"tenant": 1}, {"queue": SUM.queue, "tenant": 1})
LIMITED = Scope(kind=SUM.name)


class LedgerMachine(RuleBasedStateMachine):
    def __init__(self, world: LedgerWorld) -> None:
        super().__init__()
        self.world = world
        self.model = LedgerModel()
        self._ids = world.ids()

    @initialize(target=asked_jobs)
    def begin(self) -> MultipleResults[Asked]:
        """Forget the last example; each tenant has a job with a key."""
        self.world.run(self.world.forget())
        asked = [
            Asked(tenant_id, NewJob(id=next(self._ids), kind=SUM, args={}, dedup_key="a"))
            for tenant_id in self.world.tenants
        ]
        self._enqueue(asked, commits=True)
        return multiple(*asked)

    @precondition(lambda self: len(self._in_state(*OPEN)) < FEW_JOBS)
    @rule(
        target=asked_jobs,
        tenant=tenants,
        kind=kinds,
        key=st.sampled_from((None, "a", "b")),
        waits=st.sampled_from((False, False, True)),
        commits=st.sampled_from((True, True, False)),
        copies=st.sampled_from((1, 2)),
    )
    def enqueue(self, tenant: int, kind: JobKind, key: str | None, *, waits: bool, commits: bool, copies: int) -> Asked:
        job = NewJob(id=next(self._ids), kind=kind, args={}, due_at=NEVER if waits else None, dedup_key=key)
        asked = Asked(self.world.tenants[tenant], job)
        self._enqueue([asked] * copies, commits=commits)
        return asked

    def _in_state(self, *states: str) -> list[Job]:
        return [job for job in self.model.jobs.values() if job.state in states]

    @precondition(lambda self: len(self._in_state(*OPEN)) < FEW_JOBS)
    @rule(target=asked_jobs, asked=asked_jobs)
    def enqueue_another_with_the_same_key(self, asked: Asked) -> Asked:
        job = NewJob(id=next(self._ids), kind=asked.job.kind, args={}, dedup_key=asked.job.dedup_key)
        another = Asked(asked.tenant_id, job)
        self._enqueue([another], commits=True)
        return another

    @rule(asked=asked_jobs)
    def enqueue_again(self, asked: Asked) -> None:
        self._enqueue([asked], commits=True)

    def _enqueue(self, asked: Sequence[Asked], *, commits: bool) -> None:
        self.world.run(self.world.enqueue(asked, commits=commits))
        for one in asked if commits else []:
            self.model.enqueue(one, is_due=one.job.due_at is None)

    @rule(target=leases, one=asked_jobs, more=more_jobs)
    def grant(self, one: Asked, more: Sequence[Asked]) -> MultipleResults[Leased]:
        ids = _ids(one, *more)
        expected = self.model.grantable(ids)

        granted = self.world.run(self.world.store.grant(ids, LEASE_S))

        assert {lease.id for lease in granted} <= expected
        assert len(granted) == self.model.granted_together(expected)
        return self._granted(granted)

    @precondition(lambda self: self._in_state("ready"))
    @rule(target=leases, queue=st.sampled_from(("sums", "letters")), limit=st.integers(1, 3))
    def grant_ready(self, queue: str, limit: int) -> MultipleResults[Leased]:
        of_queue = [job_id for job_id, job in self.model.jobs.items() if job.asked.job.kind.queue == queue]
        expected = self.model.grantable(of_queue)

        granted = self.world.run(self.world.store.grant_ready(queue, limit, LEASE_S))

        assert {lease.id for lease in granted} <= expected
        assert len(granted) == min(limit, self.model.granted_together(expected))
        return self._granted(granted)

    @rule(target=leases, one=asked_jobs, more=more_jobs, held=asked_jobs)
    def grant_twice_at_once(self, one: Asked, more: Sequence[Asked], held: Asked) -> MultipleResults[Leased]:
        """Two workers got the same message, while somebody else has a row locked, of it perhaps.

        Where a limit lets some of its jobs begin, those of the quicker worker do. They are handed back and granted
        again: what a step has come to must not depend on a race, or no example could be shrunk.
        """
        ids = _ids(one, *more)
        expected = self.model.grantable(ids) - {held.job.id}

        granted = self.world.run(self.world.grant_twice_beside(ids, held.job.id))

        assert {lease.id for lease in granted} <= expected
        assert len(granted) == self.model.granted_together(expected), "each job goes to one of the two workers"
        if len(granted) < len(expected):
            for lease in granted:
                self.world.run(self.world.store.release([lease.id], lease.token))
            again = self.world.run(self.world.store.grant(sorted(expected), LEASE_S))
            assert len(again) == len(granted), "what is handed back may begin again"
            granted = again
        return self._granted(granted)

    def _granted(self, granted: Sequence[Leased]) -> MultipleResults[Leased]:
        self.model.grant(granted)
        for lease in granted:
            assert lease.attempt == self.model.jobs[lease.id].attempts
        return multiple(*sorted(granted, key=lambda lease: list(self.model.jobs).index(lease.id)))

    @rule(lease=leases)
    def renew(self, lease: Leased) -> None:
        job = self.model.jobs[lease.id]
        expected = {lease.id: job.is_cancelled} if self.model.holds(lease) else {}

        assert self.world.run(self.world.store.renew([lease.id], lease.token, LEASE_S)) == expected
        if expected:
            job.has_run_out = False

    @rule(lease=leases)
    def report(self, lease: Leased) -> None:
        self._succeeds_as_holder([lease], self.world.report(lease))

    @rule(one=leases, more=more_leases, outcome=st.sampled_from(("done", "done", "cancelled")))
    def finish(self, one: Leased, more: Sequence[Leased], outcome: str) -> None:
        """End jobs with their effects: all of them, or, where one lease is stale, none."""
        chosen = list({lease.id: lease for lease in (one, *more)}.values())
        if self._succeeds_as_holder(chosen, self.world.finish(chosen, outcome)):
            for lease in chosen:
                self.model.jobs[lease.id].leave(outcome)

    @rule(lease=leases)
    def die_in_mid_finish(self, lease: Leased) -> None:
        """The worker's connection ends before the commit: neither the effect nor the end has happened."""
        with pytest.raises((DBAPIError, LeaseLost)):
            self.world.run(self.world.finish([lease], "done", dies=True))

    @rule(lease=leases, retry_in_s=st.sampled_from((None, 0.0, HOUR_S)))
    def fail(self, lease: Leased, retry_in_s: float | None) -> None:
        if self._succeeds_as_holder([lease], self.world.ledger.end(fail, lease, {"code": "test"}, retry_in_s)):
            self.model.jobs[lease.id].leave("dead" if retry_in_s is None else "ready", is_due=retry_in_s != HOUR_S)

    @rule(lease=leases, delay_s=st.sampled_from((0.0, HOUR_S)), how=st.sampled_from((hand_back, put_off)))
    def hand_back_or_put_off(self, lease: Leased, delay_s: float, how: Any) -> None:
        if self._succeeds_as_holder([lease], self.world.ledger.end(how, lease, delay_s)):
            self._uncounted(lease, is_due=not delay_s)

    @rule(lease=leases)
    def release(self, lease: Leased) -> None:
        self.world.run(self.world.store.release([lease.id], lease.token))
        if self.model.holds(lease):
            self._uncounted(lease, is_due=True)

    @rule(lease=leases)
    def park_as_unknown(self, lease: Leased) -> None:
        """A worker of a release that does not know the kind has leased it."""
        if self._succeeds_as_holder([lease], self.world.ledger.end(park_unknown, lease)):
            self._uncounted(lease, is_due=True, state="needs_version")

    def _uncounted(self, lease: Leased, *, is_due: bool, state: str = "ready") -> None:
        job = self.model.jobs[lease.id]
        job.leave(state, is_due=is_due)
        job.attempts -= 1

    def _succeeds_as_holder(self, chosen: Sequence[Leased], work: Coroutine[Any, Any, None]) -> bool:
        """Do what only who holds all of these leases may do, and tell whether it was done."""
        holds = all(self.model.holds(lease) for lease in chosen)
        try:
            self.world.run(work)
        except LeaseLost:
            assert not holds, "a lease that holds was refused"
            return False
        assert holds, "a stale lease was accepted"
        return True

    @rule(one=asked_jobs, more=more_jobs, then_rescue=st.booleans())
    def let_leases_run_out(self, one: Asked, more: Sequence[Asked], *, then_rescue: bool) -> None:
        ids = _ids(one, *more)
        self.world.run(self.world.let_run_out(ids))
        for job_id in ids:
            if job_id in self.model.jobs and self.model.jobs[job_id].state == "leased":
                self.model.jobs[job_id].has_run_out = True
        if then_rescue:
            self.rescue()

    @precondition(lambda self: self._in_state("leased"))
    @rule()
    def rescue(self) -> None:
        rescued = self.world.run(self.world.store.rescue())

        assert {job.id: job.state for job in rescued} == self.model.rescue()

    @rule(asked=asked_jobs)
    def cancel(self, asked: Asked) -> None:
        job = self.model.jobs.get(asked.job.id)
        cancelled = self.world.ledger.cancel(asked.job.id, asked.tenant_id)
        if job is None:
            with pytest.raises(OperationNotFound):
                self.world.run(cancelled)
            return
        self.world.run(cancelled)
        if job.state == "leased":
            job.is_cancelled = True
        elif job.state in OPEN:
            job.leave("cancelled")

    @precondition(lambda self: self._in_state("dead"))
    @rule(tenant=tenants, kind=kinds)
    def redrive_a_kind(self, tenant: int, kind: JobKind) -> None:
        tenant_id = self.world.tenants[tenant]
        self._redrive(
            Asked(tenant_id, NewJob(kind=kind, args={})),
            None,
            lambda asked: (asked.tenant_id, asked.job.kind) == (tenant_id, kind),
        )

    @rule(asked=asked_jobs)
    def redrive_one(self, asked: Asked) -> None:
        self._redrive(asked, asked.job.id, lambda other: other.job.id == asked.job.id)

    def _redrive(self, asked: Asked, job_id: UUID | None, is_meant: Callable[[Asked], bool]) -> None:
        dead = [found for found, job in self.model.jobs.items() if job.state == "dead" and is_meant(job.asked)]
        assert self.world.run(self.world.redrive(asked, job_id)) == len(dead)
        self.model.redrive(dead)

    @precondition(lambda self: self._in_state("dead"))
    @rule(place=places)
    def redrive_dead_letters(self, place: int) -> None:
        """As the operation does: all of a tenant and a kind, of which there is one."""
        asked, chosen = self._like(place, "dead")
        assert self.world.run(self.world.redrive_dead_letters(asked)) == len(chosen)
        self.model.redrive(chosen)

    @precondition(lambda self: self._in_state("dead", "needs_version"))
    @rule(place=places)
    def discard_dead_letters(self, place: int) -> None:
        """What was given up, or what waits for another release, of a tenant and a kind."""
        state = "dead" if self._in_state("dead") and place % 3 else "needs_version"
        if self._in_state(state):
            asked, chosen = self._like(place, state)
            assert self.world.run(self.world.discard_dead_letters(asked, state)) == len(chosen)
            for job_id in chosen:
                self.model.jobs[job_id].leave("discarded")

    @precondition(lambda self: self._in_state("needs_version"))
    @rule(kind=kinds)
    def take_up(self, kind: JobKind) -> None:
        """A worker has come that knows *kind*."""
        expected = [
            job_id
            for job_id, job in self.model.jobs.items()
            if job.state == "needs_version" and job.asked.job.kind == kind
        ]

        taken_up = self.world.run(take_up_jobs(self.world.engine, [kind.name], 100))

        assert sorted(taken_up) == sorted(expected)
        self.model.take_up(taken_up)

    def _like(self, place: int, state: str) -> tuple[Asked, list[UUID]]:
        """Return a job in *state*, and all in it that are of its tenant and kind."""
        found = self._in_state(state)
        asked = found[place % len(found)].asked
        wanted = (asked.tenant_id, asked.job.kind, state)
        jobs = self.model.jobs.items()
        return asked, [i for i, job in jobs if (job.asked.tenant_id, job.asked.job.kind, job.state) == wanted]

    @precondition(lambda self: self._in_state("ready"))
    @rule(purged=st.sampled_from(PAUSES))
    def purge(self, purged: dict[str, Any]) -> None:
        scope = self._scope(**purged)
        expected = self.model.purge(scope)

        assert self.world.run(purge_waiting(self.world.engine, scope, batch=1)) == expected

    @precondition(lambda self: not all(job.is_due for job in self._in_state("ready")))
    @rule()
    def let_what_waits_be_due(self) -> None:
        self.world.run(self.world.ledger.make_due())
        for job in self.model.jobs.values():
            job.is_due = True

    @rule(paused=st.sampled_from(PAUSES))
    def pause(self, paused: dict[str, Any]) -> None:
        scope = self._scope(**paused)
        self.world.run(pause(self.world.engine, scope, paused_by="test:machine"))
        self.model.paused.add(scope)

    @precondition(lambda self: self.model.paused)
    @rule()
    def resume(self) -> None:
        for scope in [self._scope(**paused) for paused in PAUSES]:
            assert self.world.run(resume(self.world.engine, scope)) == (scope in self.model.paused)
        self.model.paused.clear()

    @rule(running=st.sampled_from((1, 1, 2)))
    def limit(self, running: int) -> None:
        """Let so many sums run at a time; those that do go on."""
        self.world.run(set_limit(self.world.engine, LIMITED, set_by="test:machine", max_running=running))
        self.model.limits[LIMITED] = running

    @precondition(lambda self: self.model.limits)
    @rule()
    def clear_limit(self) -> None:
        assert self.world.run(clear_limit(self.world.engine, LIMITED))
        self.model.limits.clear()

    def _scope(self, queue: str | None = None, kind: str | None = None, tenant: int | None = None) -> Scope:
        return Scope(queue=queue, kind=kind, tenant_id=None if tenant is None else self.world.tenants[tenant])

    @invariant()
    def the_ledger_is_as_it_should_be(self) -> None:
        """No job is lost or there twice; states, attempts, leases and keys are right; what is done has had its effect
        once, and nothing else has.
        """
        rows = self.world.run(self.world.rows())
        assert len(rows) == len(dict(rows)), "a job is there twice"
        assert dict(rows) == {job_id: job.row for job_id, job in self.model.jobs.items()}


def _ids(*asked: Asked) -> list[UUID]:
    return list(dict.fromkeys(one.job.id for one in asked))
