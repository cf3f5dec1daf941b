"""The log of runs: what came of an attempt, and what follows from it for the script."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from rustok.db.unit_of_work import UnitOfWork
from rustok.modules.alloy import repository, run_repository, service

SUCCEEDED = "succeeded"
POLICY_VIOLATION = "policy_violation"
_TOO_MANY_FAILURES = "consecutive_failures"


@dataclass(frozen=True, slots=True, kw_only=True)
class Attempted:
    """An attempt that has ended; `error` has the fields of a fault of the cage."""

    run_id: UUID
    attempt: int
    script_id: UUID
    script_version: int
    event_type: str
    event_id: UUID
    depth: int
    started_at: datetime
    usage: Mapping[str, float]
    logs: Sequence[Mapping[str, Any]]
    effects: Sequence[Mapping[str, Any]] = ()
    result: Any = None
    error: Mapping[str, Any] | None = None


async def record_success(uow: UnitOfWork, attempted: Attempted) -> None:
    """Keep a run that succeeded, in the transaction that has its effects."""
    await _insert(uow, attempted, SUCCEEDED)
    await run_repository.forgive(uow, attempted.script_id)


async def record_failure(uow: UnitOfWork, attempted: Attempted, code: str, failures_in_a_row: int) -> None:
    """Keep an attempt that failed; a script that fails so many times in a row, or breaks its rules, is disabled."""
    await _insert(uow, attempted, code)
    row = await repository.count_failure(uow, attempted.script_id)
    if row is None:
        return
    if code == POLICY_VIOLATION:
        await repository.set_version_state(
            uow, attempted.script_id, attempted.script_version, "disabled", [dict(attempted.error or {})]
        )
        if row.canary_version != attempted.script_version:
            await service.disable(uow, row, POLICY_VIOLATION, attempted.script_version)
        else:
            await service.end_canary(uow, row)
    elif row.failures >= failures_in_a_row:
        await service.disable(uow, row, _TOO_MANY_FAILURES, attempted.script_version)


async def _insert(uow: UnitOfWork, attempted: Attempted, outcome: str) -> None:
    row = {
        **asdict(attempted),
        "tenant_id": uow.tenant_id,
        "id": uow.new_id(),
        "outcome": outcome,
        "correlation_id": uow.context.correlation_id,
        "finished_at": uow.now,
    }
    await run_repository.insert_attempts(uow, [row])
