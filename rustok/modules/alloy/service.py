"""The rules of scripts and versions. Every change locks the script's row first: it is the aggregate's root."""

import hashlib
from collections.abc import Sequence
from typing import Any
from uuid import UUID

from sqlalchemy import Row

from rustok.db.failures import conflicts_named
from rustok.db.unit_of_work import UnitOfWork
from rustok.jobs import NewJob, NewSchedule, enqueue, next_due, set_schedules, suspend_schedules
from rustok.kernel.errors import Forbidden, InvalidInput, Violation
from rustok.kernel.merge_patch import changed_fields
from rustok.modules.alloy import errors, events, repository, schemas, state
from rustok.modules.alloy.kinds import CHECK, RUN
from rustok.modules.alloy.schemas import Script
from rustok.modules.alloy.triggers import CronTrigger, Trigger, read_triggers

_CONFLICTS = {"scripts_name_key": (errors.DuplicateScriptName, "Another script has this name: choose another.")}
_OWN = "alloy."
_SECRET = "secrets"  # noqa: S105 - a field's name
_STATE = (
    "status",
    "status_reason",
    "active_version",
    "canary_version",
    "canary_percent",
    "latest_version",
    "failures",
)
_CHECK_PRIORITY = 10
"""Somebody waits for it."""


async def create_script(uow: UnitOfWork, data: schemas.CreateScript) -> Script:
    """Create a script without code, as a draft."""
    _check_grants(uow, data.grants)
    _check_secrets(uow, data.secrets)
    _check_crons(uow, data.triggers)
    limit = (await state.limits_of(uow)).scripts
    if await repository.count_scripts(uow) >= limit:
        raise errors.QuotaExceeded(f"The tenant has {limit} scripts: delete one, or ask the operator for more.")
    script_id = uow.new_id()
    uow.hold("script", script_id, version=0)
    version = uow.emit(events.ScriptCreated(name=data.name), script_id)
    values = {**data.model_dump(), "id": script_id, "version": version, "owner": uow.context.principal.actor}
    with conflicts_named(_CONFLICTS):
        await repository.insert_script(uow, values)
    return await find(uow, script_id)


async def get_script(uow: UnitOfWork, data: schemas.GetScript) -> Script:
    """Return a script."""
    return await find(uow, data.script_id)


async def list_scripts(uow: UnitOfWork, data: schemas.ListScripts) -> schemas.ScriptPage:
    """Return scripts by name."""
    page = await repository.list_scripts(uow, data.name, data.status, data.after, data.limit)
    return schemas.ScriptPage(data=[Script(**row._mapping) for row in page.rows], page=page.links)


async def update_script(uow: UnitOfWork, data: schemas.UpdateScript) -> Script:
    """Change the fields that the patch has. Whoever changes the grants answers for them from then on."""
    row = await _lock(uow, data.script_id)
    values = changed_fields(schemas.CreateScript, row._asdict(), data)
    if not values:
        return await find(uow, data.script_id)
    owner = row.owner
    if "grants" in values:
        _check_grants(uow, values["grants"])
        owner = uow.context.principal.actor
    else:
        _require_grants(uow, row)
    _check_secrets(uow, values.get(_SECRET, row.secrets))
    _check_crons(uow, data.triggers or [])
    version = uow.emit(events.ScriptUpdated(changed=sorted(values)), data.script_id)
    kept = {name: getattr(row, name) for name in ("name", "description", "triggers", "grants", "hosts", _SECRET)}
    with conflicts_named(_CONFLICTS):
        await repository.update_script(
            uow, {**kept, **values, "id": data.script_id, "version": version, "owner": owner}
        )
    if row.status == "active" and "triggers" in values:
        await _schedule(uow, data.script_id, values["triggers"])
    return await find(uow, data.script_id)


async def delete_script(uow: UnitOfWork, data: schemas.ScriptReference) -> schemas.DeletedScript:
    """Delete a script, with its versions and what it kept; its runs stay in the log for their time."""
    await _lock(uow, data.script_id)
    version = uow.emit(events.ScriptDeleted(), data.script_id)
    await _schedule(uow, data.script_id, [])
    await repository.delete_script(uow, data.script_id)
    return schemas.DeletedScript(id=data.script_id, version=version)


async def push_version(uow: UnitOfWork, data: schemas.PushVersion) -> schemas.PushedVersion:
    """Keep a new version, for good, and have a worker check it: only workers compile."""
    row = await _lock(uow, data.script_id)
    _require_grants(uow, row)
    limit = (await state.limits_of(uow)).versions_a_script
    number = row.latest_version + 1
    if number > limit:
        raise errors.QuotaExceeded(f"The script has {limit} versions: begin another script.")
    sha256 = hashlib.sha256(data.code.encode()).hexdigest()
    version = uow.emit(events.ScriptPushed(number=number, sha256=sha256), data.script_id)
    values = {"script_id": data.script_id, "number": number, "code": data.code, "sha256": sha256}
    await repository.insert_version(uow, {**values, "message": data.message, "author": uow.context.principal.actor})
    await set_state(uow, row, version, latest_version=number)
    args = {"script_id": data.script_id, "number": number, "activate": data.activate}
    job = NewJob(kind=CHECK, args=args, priority=_CHECK_PRIORITY)
    await enqueue(uow, [job])
    return schemas.PushedVersion(operation_id=job.id, script_id=data.script_id, number=number)


async def list_versions(uow: UnitOfWork, data: schemas.ListVersions) -> schemas.VersionPage:
    """Return versions without their code, newest first."""
    await find(uow, data.script_id)
    page = await repository.list_versions(uow, data.script_id, data.after, data.limit)
    return schemas.VersionPage(data=[schemas.VersionInfo(**row._mapping) for row in page.rows], page=page.links)


async def get_version(uow: UnitOfWork, data: schemas.GetVersion) -> schemas.ScriptVersion:
    """Return a version with its code."""
    return schemas.ScriptVersion(**(await _find_version(uow, data.script_id, data.number))._mapping)


async def activate_script(uow: UnitOfWork, data: schemas.ActivateScript) -> Script:
    """Let a version that passed its check run from here on. Data that another version wrote stays as it is."""
    row = await _lock(uow, data.script_id)
    _require_grants(uow, row)
    number = data.number or row.active_version or await repository.latest_ready(uow, data.script_id)
    if number is None:
        raise errors.VersionNotReady("No version of the script has passed its check: push one.")
    await _require_ready(uow, data.script_id, number)
    await activate(uow, row, number)
    return await find(uow, data.script_id)


async def pause_script(uow: UnitOfWork, data: schemas.ScriptReference) -> Script:
    """Let events and moments pass from here on; runs that wait are not begun until the script is active again."""
    row = await _lock(uow, data.script_id)
    if row.status == "active":
        version = uow.emit(events.ScriptPaused(), data.script_id)
        await set_state(uow, row, version, status="paused", status_reason=None)
        await suspend_schedules(uow, _schedules_of(data.script_id))
    return await find(uow, data.script_id)


async def set_canary(uow: UnitOfWork, data: schemas.SetCanary) -> Script:
    """Let some of the runs take another version than the active one."""
    row = await _lock(uow, data.script_id)
    _require_grants(uow, row)
    if row.active_version is None:
        raise errors.VersionNotReady("The script has no active version beside which a canary could run: activate one.")
    await _require_ready(uow, data.script_id, data.number)
    canary = data.number if data.percent else None
    event = events.ScriptActivated(number=row.active_version, canary=canary, canary_percent=data.percent)
    version = uow.emit(event, data.script_id)
    await set_state(uow, row, version, canary_version=canary, canary_percent=data.percent)
    return await find(uow, data.script_id)


async def find(uow: UnitOfWork, script_id: UUID) -> Script:
    """Return a script. Raises ScriptNotFound."""
    row = await repository.find_script(uow, script_id)
    if row is None:
        raise _no_script()
    return Script(**row._mapping)


async def activate(uow: UnitOfWork, row: Row[Any], number: int) -> None:
    """Make *number* the active version of a held script, without a canary, and the script active."""
    if row.status == "active" and row.active_version == number and row.canary_version is None:
        return
    version = uow.emit(events.ScriptActivated(number=number), row.id)
    values = {"active_version": number, "canary_version": None, "canary_percent": 0, "failures": 0}
    await set_state(uow, row, version, status="active", status_reason=None, **values)
    await _schedule(uow, row.id, row.triggers)


async def disable(uow: UnitOfWork, row: Row[Any], reason: str, number: int | None) -> None:
    """Stop a held script on the platform's own account."""
    if row.status != "disabled":
        version = uow.emit(events.ScriptDisabled(reason=reason, number=number), row.id)
        await set_state(uow, row, version, status="disabled", status_reason=reason)
        await suspend_schedules(uow, _schedules_of(row.id))


async def end_canary(uow: UnitOfWork, row: Row[Any]) -> None:
    """Let all runs of a held script take its active version again."""
    version = uow.emit(events.ScriptActivated(number=row.active_version), row.id)
    await set_state(uow, row, version, canary_version=None, canary_percent=0)


async def set_state(uow: UnitOfWork, row: Row[Any], version: int, **changes: Any) -> None:
    """Write the state of a held script: what *row* has, with *changes*."""
    state_now = {name: getattr(row, name) for name in _STATE}
    await repository.set_state(uow, {**state_now, **changes, "id": row.id, "version": version})


def _check_grants(uow: UnitOfWork, grants: Sequence[str]) -> None:
    """Refuse what a script must not have, and what its owner has not."""
    faults = [
        Violation(f"/grants/{place}", "grant_not_allowed", "no script may change scripts")
        for place, grant in enumerate(grants)
        if grant.startswith(_OWN)
    ]
    if faults:
        raise errors.GrantNotAllowed("A script gets no rights over scripts.", faults)
    for grant in grants:  # whether its module is on, is asked when the script acts
        if uow.context.is_bound_to_own(grant):
            raise Forbidden(f"This needs the permission {grant}, not for your own alone.")


def _check_secrets(uow: UnitOfWork, names: Sequence[str]) -> None:
    """Refuse somebody who would read, by way of a script, what he may not."""
    if names:
        uow.context.require(state.USE_SECRETS)


def _check_crons(uow: UnitOfWork, triggers: Sequence[Trigger]) -> None:
    """Refuse a cron trigger that means no moment."""
    for place, trigger in enumerate(triggers):
        if isinstance(trigger, CronTrigger):
            try:
                next_due(trigger.expression, trigger.timezone, uow.now)
            except InvalidInput as error:
                raise InvalidInput(str(error), [Violation(f"/triggers/{place}", "invalid_cron", str(error))]) from error


def _require_grants(uow: UnitOfWork, row: Row[Any]) -> None:
    """Refuse somebody who would act, by way of the script, beyond his own rights."""
    needed = {*row.grants, state.USE_SECRETS} if row.secrets else {*row.grants}
    missing = sorted(needed - uow.context.principal.permissions)
    if missing:
        raise errors.BeyondGrants(f"The script was granted {', '.join(missing)}, which you have not.")


async def _require_ready(uow: UnitOfWork, script_id: UUID, number: int) -> None:
    row = await _find_version(uow, script_id, number)
    if row.state != "ready":
        raise errors.VersionNotReady(f"Version {number} is {row.state}: only one that passed its check can run.")


async def _schedule(uow: UnitOfWork, script_id: UUID, triggers: Sequence[Any]) -> None:
    """Have the script started at the moments of its cron triggers, and at no others."""
    args = {"script_id": str(script_id)}
    schedules = [
        NewSchedule(cron=trigger.expression, timezone=trigger.timezone, missed=trigger.missed, kind=RUN, args=args)
        for trigger in read_triggers(triggers)
        if isinstance(trigger, CronTrigger)
    ]
    await set_schedules(uow, _schedules_of(script_id), schedules)


def _schedules_of(script_id: UUID) -> str:
    """Return the owner of the script's schedules."""
    return f"script:{script_id}"


async def _lock(uow: UnitOfWork, script_id: UUID) -> Row[Any]:
    row = await repository.lock_script(uow, script_id)
    if row is None:
        raise _no_script()
    return row


async def _find_version(uow: UnitOfWork, script_id: UUID, number: int) -> Row[Any]:
    row = await repository.find_version(uow, script_id, number)
    if row is None:
        raise errors.ScriptVersionNotFound("The script has no such version.")
    return row


def _no_script() -> errors.ScriptNotFound:
    return errors.ScriptNotFound("There is no such script.")
