"""The log of runs: what came of an attempt, and what follows from it for the script."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
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
    correlation_id: UUID
    started_at: datetime
    usage: Mapping[str, float]
    logs: Sequence[Mapping[str, Any]]
    effects: Sequence[Mapping[str, Any]] = ()
    result: Any = None
    error: Mapping[str, Any] | None = None


async def record_successes(uow: UnitOfWork, attempts: Sequence[Attempted]) -> None:
    """Keep runs that succeeded, in the transaction that has their effects."""
    await run_repository.insert_successes(uow, [_row(uow, attempted, SUCCEEDED) for attempted in attempts])


async def record_failure(uow: UnitOfWork, attempted: Attempted, code: str, failures_in_a_row: int | None) -> None:
    """Keep an attempt that failed; a script that fails so many times in a row, or breaks its rules, is disabled.

    *failures_in_a_row*: None for a failure that is not the script's.
    """
    await run_repository.insert_attempts(uow, [_row(uow, attempted, code)])
    if failures_in_a_row is None:
        return
    row = await repository.count_failure(uow, attempted.script_id)
    if row is None:
        return
    if code == POLICY_VIOLATION:
        await repository.set_version_state(
            uow, attempted.script_id, attempted.script_version, "disabled", [dict(attempted.error or {})]
        )
        if row.active_version == attempted.script_version:
            await service.disable(uow, row, POLICY_VIOLATION, attempted.script_version)
        elif row.canary_version == attempted.script_version:
            await service.end_canary(uow, row)
    elif row.failures >= failures_in_a_row:
        await service.disable(uow, row, _TOO_MANY_FAILURES, attempted.script_version)


def _row(uow: UnitOfWork, attempted: Attempted, outcome: str) -> dict[str, Any]:
    """Return the record, without copying what its fields hold."""
    told = {field.name: getattr(attempted, field.name) for field in fields(attempted)}
    return {**told, "id": uow.new_id(), "tenant_id": uow.tenant_id, "outcome": outcome, "finished_at": uow.now}
