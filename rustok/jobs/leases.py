"""What a runner asks of the ledger. `tests/conformance/job_store` says what every store promises."""

from collections.abc import Collection, Mapping, Sequence
from typing import Any, Protocol
from uuid import UUID

from rustok.jobs.ledger import Leased


class JobLeases(Protocol):
    """Each operation is a transaction of its own."""

    async def grant(self, ids: Sequence[UUID], lease_s: float) -> Sequence[Leased]:
        """Lease what is ready among *ids*. This, and nothing else, counts an attempt."""

    async def grant_ready(self, queue: str, limit: int, lease_s: float) -> Sequence[Leased]:
        """Lease up to *limit* jobs that are ready, in turns by tenant, as `grant` does."""

    async def renew(self, ids: Collection[UUID], token: UUID, lease_s: float) -> Mapping[UUID, bool]:
        """Prolong leases; return those that still hold, and whether somebody has cancelled the job."""

    async def release(self, ids: Collection[UUID], token: UUID) -> None:
        """Give back those of *ids* that are still held, as if they had never been leased."""

    async def finish(self, ended: Sequence[tuple[Leased, Any]], outcome: str = "done") -> Collection[UUID]:
        """End those jobs for good that are still held, each with its result and without effects; return their ids."""

    async def fail(self, job: Leased, error: Mapping[str, Any], retry_in_s: float | None) -> None:
        """End this attempt: *job* is due again in *retry_in_s*, or (None) a dead letter. Raises LeaseLost."""

    async def hand_back(self, job: Leased, delay_s: float) -> None:
        """Give *job* back, due in *delay_s*, without an attempt. Raises LeaseLost."""

    async def park_unknown(self, job: Leased) -> None:
        """Let *job* wait, without an attempt, for a release that knows its kind. Raises LeaseLost."""
