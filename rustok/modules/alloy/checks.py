"""What a worker does with a version that it has checked."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from rustok.db.unit_of_work import UnitOfWork
from rustok.modules.alloy import repository, service
from rustok.modules.alloy.events import ScriptChecked


@dataclass(frozen=True, slots=True, kw_only=True)
class CheckedVersion:
    script_id: UUID
    number: int
    activate: bool


async def accept_version(uow: UnitOfWork, checked: CheckedVersion) -> None:
    """Let the version run, and activate it where its author wanted that.

    A script that was deleted meanwhile is none to be told.
    """
    row = await repository.lock_script(uow, checked.script_id)
    if row is None:
        return
    await repository.set_version_state(uow, checked.script_id, checked.number, "ready", [])
    version = uow.emit(ScriptChecked(number=checked.number, accepted=True), checked.script_id)
    await service.set_state(uow, row, version)
    if checked.activate and (row.active_version or 0) < checked.number:
        await service.activate(uow, row, checked.number)


async def reject_version(uow: UnitOfWork, checked: CheckedVersion, faults: Sequence[Mapping[str, Any]]) -> None:
    """Keep what is wrong with the version, which will never run."""
    row = await repository.lock_script(uow, checked.script_id)
    if row is None:
        return
    await repository.set_version_state(uow, checked.script_id, checked.number, "rejected", faults)
    version = uow.emit(ScriptChecked(number=checked.number, accepted=False), checked.script_id)
    await service.set_state(uow, row, version)
