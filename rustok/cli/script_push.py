"""`rustok scripts push`: from a folder to an active version."""

import asyncio
from collections.abc import Iterator, Sequence
from difflib import get_close_matches
from typing import Annotated, Any

import typer

from rustok.cli.output import err, print_rows
from rustok.cli.script_folder import Folder, find_folder
from rustok.cli.script_source import print_faults, read_source
from rustok.cli.script_wait import PATIENCE_S, Patience, wait_for
from rustok.cli.tenancy import TenantOption, TenantSession, open_tenant
from rustok.cli.tenant import Json
from rustok.kernel.errors import InvalidInput, Unavailable, Violation
from rustok.kernel.event import matches
from rustok.kernel.registry import Registry
from rustok.modules.alloy.schemas import CreateScript, Script
from rustok.modules.alloy.triggers import EventTrigger
from rustok.sandbox.contract import Fault

app = typer.Typer()

_COLUMNS = ("name", "status", "number", "active_version", "id")


@app.command()
def push(
    folder: Annotated[str, typer.Argument(metavar="FOLDER", help="Folder of a hook, or its name in scripts/.")],
    message: Annotated[str, typer.Option("--message", "-m", help="What is new.")] = "",
    tenant: TenantOption = None,
    timeout_s: Patience = PATIENCE_S,
    *,
    activate: Annotated[bool, typer.Option("--activate/--no-activate", help="Let it run once it is checked.")] = True,
    as_json: Json = False,
) -> None:
    """Create or update the script of a folder, and hand in its hook as a version; a worker checks it.

    Faults are lines that editors can follow, and exit code 1; the active version goes on running then.
    """
    asyncio.run(_push(find_folder(folder), message, tenant, timeout_s, activate=activate, as_json=as_json))


async def _push(
    folder: Folder, message: str, tenant: str | None, timeout_s: float, *, activate: bool, as_json: bool
) -> None:
    manifest, code = folder.manifest(), read_source(folder.hook)
    async with open_tenant(tenant) as at:
        _check(manifest, at.session.platform.registry)
        script = await _bring_in_line(at, manifest)
        pushed = await at.run("alloy.versions.push", script_id=script.id, code=code, message=message, activate=activate)
        checked = await _checked(at, pushed.operation_id, f"the check of version {pushed.number}", timeout_s)
        if not checked["accepted"]:
            print_faults(folder.hook, [Fault(**fault) for fault in checked["faults"]])
            err.print(f"version {pushed.number} of {script.name} is rejected", highlight=False)
            raise typer.Exit(1)
        row = (await at.script(str(script.id))).model_dump(mode="json")
    print_rows([{**row, "number": pushed.number}], _COLUMNS, as_json=as_json)


def _check(manifest: CreateScript, registry: Registry) -> None:
    """Refuse patterns that no event matches and grants of no permission: the script would wait in vain.

    Raises:
        InvalidInput: `violations` name each, with those that read alike.

    """
    faults = [*_pattern_faults(manifest, registry), *_grant_faults(manifest, registry)]
    if faults:
        raise InvalidInput("script.json names what there is not.", faults)


def _pattern_faults(manifest: CreateScript, registry: Registry) -> Iterator[Violation]:
    types = sorted({event_type for event_type, _ in registry.events})
    for place, trigger in enumerate(manifest.triggers):
        if isinstance(trigger, EventTrigger) and not any(matches(trigger.pattern, name) for name in types):
            families = sorted({f"{name.rpartition('.')[0]}.*" for name in types})
            near = _near(trigger.pattern, families if trigger.pattern.endswith(".*") else types)
            yield Violation(f"/triggers/{place}/pattern", "unknown_event", f"no event matches; {near}")


def _grant_faults(manifest: CreateScript, registry: Registry) -> Iterator[Violation]:
    for place, grant in enumerate(manifest.grants):
        if grant not in registry.permissions:
            near = _near(grant, sorted(registry.permissions))
            yield Violation(f"/grants/{place}", "unknown_permission", f"no such permission; {near}")


def _near(name: str, known: Sequence[str]) -> str:
    near = get_close_matches(name, known)
    return f"near: {', '.join(near)}" if near else "none reads alike"


async def _bring_in_line(at: TenantSession, manifest: CreateScript) -> Script:
    """Create the script, or change the fields in which it differs from its manifest."""
    fields: dict[str, Any] = manifest.model_dump(mode="json")
    found = await at.find_script(manifest.name)
    if found is None:
        created: Script = await at.run("alloy.scripts.create", **fields)
        err.print(f"created {created.name}", highlight=False)
        return created
    stored = found.model_dump(mode="json")
    changed = {name: value for name, value in fields.items() if stored[name] != value}
    if not changed:
        return found
    updated: Script = await at.run("alloy.scripts.update", seen=found.version, script_id=found.id, **changed)
    err.print(f"changed {', '.join(changed)} of {updated.name}", highlight=False)
    return updated


async def _checked(at: TenantSession, operation_id: Any, what: str, timeout_s: float) -> dict[str, Any]:
    async def ended() -> Any:
        operation = await at.query("jobs.operations.get", operation_id=operation_id)
        return operation if operation.status in ("done", "failed", "cancelled") else None

    operation = await wait_for(at, ended, what, timeout_s)
    if operation.status != "done":
        reason = (operation.error or {}).get("message", "it was cancelled")
        raise Unavailable(f"There was no check: {reason}")
    result: dict[str, Any] = operation.result
    return result
