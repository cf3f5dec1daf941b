"""Operations of several tenants at the command line: begun together, and followed to their end."""

import asyncio
from collections.abc import Mapping
from typing import Any
from uuid import UUID

import typer
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

from rustok.cli.output import err, print_rows
from rustok.cli.session import Session
from rustok.db.failures import translated_failures
from rustok.db.unit_of_work import TenantDisabled
from rustok.dispatch import Call
from rustok.jobs.heartbeat import living_workers
from rustok.jobs.operations import Operation

_POLL_S = 0.25
_COLUMNS = ("tenant_id", "operation_id", "status", "count")


async def follow(
    session: Session, command: str, fields: Mapping[str, Any], counts: Mapping[UUID, int], *, as_json: bool
) -> None:
    """Run *command* for each tenant of *counts*, show the progress of the operations, then print what came of them.

    Raises:
        Exit: with 1, when one of them did not end well.

    """
    begun: dict[UUID, UUID] = {}
    try:
        for tenant_id in counts:
            if operation_id := await _begin(session, command, fields, tenant_id):
                begun[tenant_id] = operation_id
        ended = await _ended(session, begun, sum(counts.values()))
    except asyncio.CancelledError:
        err.print("The operations go on without this command. How they are doing:")
        for operation_id in begun.values():
            err.print(f"  rustok jobs show {operation_id}", highlight=False)
        raise
    rows = [_row(tenant_id, ended.get(tenant_id)) for tenant_id in counts]
    print_rows(rows, _COLUMNS, as_json=as_json)
    if any(row["status"] != "done" for row in rows):
        raise typer.Exit(1)


async def _begin(session: Session, command: str, fields: Mapping[str, Any], tenant_id: UUID) -> UUID | None:
    call = Call(session.platform.registry.commands[command], fields)
    try:
        accepted = await session.platform.dispatcher.run(call, await session.operator(tenant_id))
    except TenantDisabled:
        err.print(f"tenant {tenant_id} is switched off: nothing is done for it", highlight=False)
        return None
    return UUID(str(accepted.result.model_dump()["operation_id"]))


async def _ended(session: Session, begun: Mapping[UUID, UUID], total: int) -> dict[UUID, Operation]:
    """Return the operations when all have ended; until then their progress is shown."""
    if begun:
        with translated_failures():
            if not await living_workers(session.system_engine):
                err.print("No worker was heard of: it begins when one runs (`rustok worker`).")
    found: dict[UUID, Operation] = {}
    with _progress_bar() as bar:
        task = bar.add_task("dead letters", total=total)
        while any(not _has_ended(found.get(tenant_id)) for tenant_id in begun):
            for tenant_id, operation_id in begun.items():
                if not _has_ended(found.get(tenant_id)):
                    found[tenant_id] = await _look(session, tenant_id, operation_id)
            bar.update(task, completed=sum(map(_done, found.values())))
            await asyncio.sleep(_POLL_S)
    return found


async def _look(session: Session, tenant_id: UUID, operation_id: UUID) -> Operation:
    query = session.platform.registry.queries["jobs.operations.get"]
    arguments = {"operation_id": str(operation_id)}
    operation: Any = await session.platform.dispatcher.query(query, arguments, await session.operator(tenant_id))
    return Operation(**operation.model_dump())


def _has_ended(operation: Operation | None) -> bool:
    return operation is not None and operation.status not in ("queued", "running")


def _done(operation: Operation) -> int:
    return operation.progress.done if operation.progress else 0


def _row(tenant_id: UUID, operation: Operation | None) -> dict[str, Any]:
    if operation is None:
        return {"tenant_id": tenant_id, "operation_id": None, "status": "refused", "count": 0}
    return {
        "tenant_id": tenant_id,
        "operation_id": operation.id,
        "status": operation.status,
        "count": _done(operation),
    }


def _progress_bar() -> Progress:
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    return Progress(*columns, console=err, transient=True)
