"""What the ledger of jobs should do, in plain Python: no leases that overlap, no attempt that a grant did not count."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple
from uuid import UUID

from rustok.jobs import Leased, NewJob
from rustok.jobs.pauses import Scope

OPEN = ("ready", "leased", "dead", "needs_version")
ENDED = ("done", "cancelled", "discarded")


class Row(NamedTuple):
    """What can be seen of a job. The fields after `effects` say something of jobs that have not ended only."""

    state: str
    attempts: int
    effects: int = 0
    is_due: bool = False
    token: UUID | None = None
    has_run_out: bool = False
    is_cancelled: bool = False
    dedup_key: str | None = None


@dataclass(frozen=True, slots=True)
class Asked:
    """A job as somebody asked for it; whether it was made is another question."""

    tenant_id: UUID
    job: NewJob

    @property
    def scopes(self) -> Iterable[Scope]:
        """Each scope that a pause or a limit of this job may have."""
        for queue in (None, self.job.kind.queue):
            for kind in (None, self.job.kind.name):
                for tenant_id in (None, self.tenant_id):
                    yield Scope(queue=queue, kind=kind, tenant_id=tenant_id)


@dataclass(slots=True)
class Job:
    asked: Asked
    is_due: bool
    dedup_key: str | None
    state: str = "ready"
    attempts: int = 0
    token: UUID | None = None
    has_run_out: bool = False
    is_cancelled: bool = False

    def leave(self, state: str, *, is_due: bool = True) -> None:
        """Go from a worker's hands, or from nobody's, to *state*."""
        self.state, self.is_due = state, is_due
        self.token, self.has_run_out = None, False

    @property
    def row(self) -> Row:
        if self.state in ENDED:
            return Row(self.state, self.attempts, effects=self.state == "done")
        is_due = self.state == "ready" and self.is_due
        return Row(
            self.state, self.attempts, 0, is_due, self.token, self.has_run_out, self.is_cancelled, self.dedup_key
        )


@dataclass(slots=True)
class LedgerModel:
    jobs: dict[UUID, Job] = field(default_factory=dict)
    paused: set[Scope] = field(default_factory=set)
    limits: dict[Scope, int] = field(default_factory=dict)
    """How many jobs of a scope may be leased at a time. Of scopes that have jobs in common, one at most."""

    def enqueue(self, asked: Asked, *, is_due: bool) -> None:
        """Make the job, unless its id was ever used, or its key is that of one that waits or runs."""
        job = asked.job
        if job.id not in self.jobs and not self._has_key(asked):
            self.jobs[job.id] = Job(asked, is_due, job.dedup_key)

    def _has_key(self, asked: Asked) -> bool:
        key = asked.job.dedup_key
        return key is not None and any(
            other.dedup_key == key
            and other.state in ("ready", "leased", "needs_version")
            and (other.asked.tenant_id, other.asked.job.kind) == (asked.tenant_id, asked.job.kind)
            for other in self.jobs.values()
        )

    def grantable(self, ids: Iterable[UUID]) -> set[UUID]:
        """Return those of *ids* that somebody may lease now."""
        return {job_id for job_id in ids if job_id in self.jobs and self._is_grantable(self.jobs[job_id])}

    def _is_grantable(self, job: Job) -> bool:
        return job.state == "ready" and job.is_due and not self.paused.intersection(job.asked.scopes)

    def granted_together(self, ids: Iterable[UUID]) -> int:
        """Return how many of *ids*, of which all are grantable, limits let somebody lease now."""
        asked = [self.jobs[job_id].asked for job_id in ids]
        beyond = sum(
            max(0, sum(scope in one.scopes for one in asked) - self._room(scope, running))
            for scope, running in self.limits.items()
        )
        return len(asked) - beyond

    def _room(self, scope: Scope, running: int) -> int:
        return max(0, running - sum(scope in job.asked.scopes for job in self.jobs.values() if job.state == "leased"))

    def grant(self, leases: Iterable[Leased]) -> None:
        for lease in leases:
            job = self.jobs[lease.id]
            job.state, job.token, job.attempts = "leased", lease.token, job.attempts + 1

    def holds(self, lease: Leased) -> bool:
        """Tell whether *lease* is the job's own and not taken back: one that ran out holds until it is rescued."""
        return self.jobs[lease.id].token == lease.token

    def rescue(self) -> dict[UUID, str]:
        """Take back every lease that ran out; return what has become of each job."""
        lost = {job_id: job for job_id, job in self.jobs.items() if job.has_run_out}
        for job in lost.values():
            is_last = job.attempts >= job.asked.job.kind.max_attempts
            job.leave("cancelled" if job.is_cancelled else "dead" if is_last else "ready")
        return {job_id: job.state for job_id, job in lost.items()}

    def purge(self, scope: Scope) -> int:
        """Cancel what waits, now or later; return how many jobs that were."""
        chosen = [job for job in self.jobs.values() if job.state == "ready" and scope in job.asked.scopes]
        for job in chosen:
            job.leave("cancelled")
        return len(chosen)

    def take_up(self, chosen: Iterable[UUID]) -> None:
        """Make ready again what has waited for a release that knows it."""
        for job in map(self.jobs.__getitem__, chosen):
            job.leave("ready")

    def redrive(self, chosen: Sequence[UUID]) -> None:
        """Give dead letters all their attempts again, and take their key."""
        for job in map(self.jobs.__getitem__, chosen):
            job.leave("ready")
            job.attempts, job.is_cancelled, job.dedup_key = 0, False, None
