"""An operation is a job seen from outside: what became of a request that was answered 202."""

from collections.abc import Mapping
from datetime import datetime
from typing import Any, ClassVar, Literal
from uuid import UUID

from sqlalchemy import text

from rustok.db.unit_of_work import UnitOfWork
from rustok.jobs.history import into_history
from rustok.jobs.ledger import Statements
from rustok.kernel.errors import NotFound
from rustok.kernel.fields import EXAMPLE_ID
from rustok.kernel.module import Input, JobKind, QueryInput, Result

_STATUS = "CASE state WHEN 'dead' THEN 'failed' WHEN 'leased' THEN 'running' ELSE 'queued' END"
_FIND = text(
    f"""
    SELECT id, kind, {_STATUS} AS status, attempts, progress, NULL::jsonb AS result, error, created_at,
           NULL::timestamptz AS finished_at
      FROM jobs WHERE tenant_id = :tenant_id AND id = :id
    UNION ALL
    SELECT id, kind, outcome, attempts, progress, result, NULL, created_at, finished_at
      FROM finished_jobs WHERE tenant_id = :tenant_id AND id = :id
    """
)
# Held first, by a statement of its own: one that waits for somebody who leases the job, or gives it back, still takes
# it for what it was.
_HOLD = text("SELECT FROM jobs WHERE tenant_id = :tenant_id AND id = :id FOR UPDATE")
# Whoever has leased it is told when the lease is renewed; anybody else's job ends here and now.
_CANCEL = text(
    f"""
    WITH told AS (
        UPDATE jobs SET is_cancelled = true WHERE tenant_id = :tenant_id AND id = :id AND state = 'leased'
    ), ended AS (
        DELETE FROM jobs WHERE tenant_id = :tenant_id AND id = :id AND state <> 'leased' RETURNING *
    )
    {into_history("ended", "'cancelled'")}
    """
)


_FIND_ARGS = text(
    """
    SELECT kind, args FROM jobs WHERE tenant_id = :tenant_id AND id = :id
    UNION ALL
    SELECT kind, args FROM finished_jobs WHERE tenant_id = :tenant_id AND id = :id
    """
)


OperationStatus = Literal["queued", "running", "done", "failed", "cancelled", "discarded"]


class OperationNotFound(NotFound):
    """The tenant has no operation with this id, or it ended too long ago."""

    code = "operation_not_found"


class Progress(Result):
    done: int
    total: int | None


class Operation(Result):
    """`error` says of a queued operation why its last attempt failed; of a failed one, why it was given up."""

    id: UUID
    kind: str
    status: OperationStatus
    attempts: int
    progress: Progress | None
    result: Any
    error: dict[str, Any] | None
    created_at: datetime
    finished_at: datetime | None


class Accepted(Result):
    """What a command of status 202 returns, at least."""

    operation_id: UUID


class GetOperation(QueryInput):
    example: ClassVar = {"operation_id": EXAMPLE_ID}

    operation_id: UUID


class CancelOperation(Input):
    example: ClassVar = {"operation_id": EXAMPLE_ID}

    operation_id: UUID


async def get_operation(uow: UnitOfWork, data: GetOperation) -> Operation:
    """Return how an operation is doing, or what came of it."""
    return await _find(uow, data.operation_id)


async def find_args(uow: UnitOfWork, kind: JobKind, job_id: UUID) -> Mapping[str, Any] | None:
    """Return what a job of *kind* was asked to do, whether it has ended or not; None: there is no such job."""
    row = (await uow.execute(_FIND_ARGS, {"tenant_id": uow.tenant_id, "id": job_id})).first()
    return row.args if row is not None and row.kind == kind.name else None


async def cancel_operation(uow: UnitOfWork, data: CancelOperation) -> Operation:
    """End an operation that waits, and stop a running one soon; one that has ended stays as it is."""
    await cancel(uow, uow.tenant_id, data.operation_id)
    return await _find(uow, data.operation_id)


async def cancel(transaction: Statements, tenant_id: UUID, job_id: UUID) -> None:
    """End a job that waits, and have whoever has leased it told; nothing happens where there is none."""
    values = {"tenant_id": tenant_id, "id": job_id}
    await transaction.execute(_HOLD, values)
    await transaction.execute(_CANCEL, values)


async def _find(uow: UnitOfWork, operation_id: UUID) -> Operation:
    row = (await uow.execute(_FIND, {"tenant_id": uow.tenant_id, "id": operation_id})).first()
    if row is None:
        raise OperationNotFound("There is no such operation.")
    return Operation(**row._mapping)
