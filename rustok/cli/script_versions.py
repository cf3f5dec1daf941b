"""`rustok scripts versions`, `diff`, `rollback`, `enable`, `disable`, `canary`: which code runs."""

import asyncio
from pathlib import Path
from typing import Annotated, Any

import typer

from rustok.cli.output import err, print_rows
from rustok.cli.script_show import print_diff, text_diff
from rustok.cli.script_source import read_source
from rustok.cli.tenancy import DryRun, ScriptArgument, TenantOption, TenantSession, Yes, confirm, open_tenant
from rustok.cli.tenant import Json
from rustok.modules.alloy.errors import ScriptVersionNotFound, VersionNotReady
from rustok.modules.alloy.schemas import Script

app = typer.Typer()

_COLUMNS = ("number", "state", "runs", "sha256", "author", "created_at", "message")
_SCRIPT_COLUMNS = ("name", "status", "active_version", "canary_version", "canary_percent", "id")
_SHOWN = 12


@app.command()
def versions(script: ScriptArgument, tenant: TenantOption = None, *, as_json: Json = False) -> None:
    """List the versions of a script, newest first."""
    asyncio.run(_versions(script, tenant, as_json=as_json))


@app.command()
def diff(
    script: ScriptArgument,
    a: Annotated[str | None, typer.Argument(help="Number of a version, or a file.")] = None,
    b: Annotated[str | None, typer.Argument(help="Number of a version, or a file.")] = None,
    tenant: TenantOption = None,
    *,
    as_json: Json = False,
) -> None:
    """Show what differs from A to B; from the active version to A without B, and between the last two without both."""
    asyncio.run(_diff(script, a, b, tenant, as_json=as_json))


@app.command()
def rollback(
    script: ScriptArgument,
    number: Annotated[int | None, typer.Argument(min=1, help="The ready version before the active one.")] = None,
    tenant: TenantOption = None,
    *,
    yes: Yes = False,
    dry_run: DryRun = False,
    as_json: Json = False,
) -> None:
    """Let an earlier version run again. Data is not rolled back."""
    asyncio.run(_rollback(script, number, tenant, yes=yes, dry_run=dry_run, as_json=as_json))


@app.command()
def enable(script: ScriptArgument, tenant: TenantOption = None, *, as_json: Json = False) -> None:
    """Let events start a script again: its active version, or else the latest that is ready."""
    asyncio.run(_change("alloy.scripts.activate", script, tenant, as_json=as_json))


@app.command()
def disable(script: ScriptArgument, tenant: TenantOption = None, *, as_json: Json = False) -> None:
    """Let events pass without starting a script; runs that wait go on waiting."""
    asyncio.run(_change("alloy.scripts.pause", script, tenant, as_json=as_json))


@app.command()
def canary(
    script: ScriptArgument,
    number: Annotated[int, typer.Argument(min=1, help="The version that some runs take.")],
    percent: Annotated[int, typer.Argument(min=0, max=100, help="Of the runs; 0 ends it.")],
    tenant: TenantOption = None,
    *,
    as_json: Json = False,
) -> None:
    """Let some of the runs take another version than the active one."""
    asyncio.run(_change("alloy.canaries.set", script, tenant, as_json=as_json, number=number, percent=percent))


async def _versions(reference: str, tenant: str | None, *, as_json: bool) -> None:
    async with open_tenant(tenant) as at:
        script = await at.script(reference)
        found = await at.all("alloy.versions.list", script_id=script.id)
    rows = [{**version.model_dump(mode="json"), "runs": _share(script, version.number)} for version in found]
    if not as_json:
        rows = [{**row, "sha256": row["sha256"][:_SHOWN]} for row in rows]
    print_rows(rows, _COLUMNS, as_json=as_json)


def _share(script: Script, number: int) -> str | None:
    """Return which of the runs take this version."""
    if number == script.canary_version:
        return f"{script.canary_percent} %"
    if number == script.active_version:
        return f"{100 - script.canary_percent} %" if script.status == "active" else script.status
    return None


async def _diff(reference: str, a: str | None, b: str | None, tenant: str | None, *, as_json: bool) -> None:
    async with open_tenant(tenant) as at:
        script = await at.script(reference)
        sides = [side for side in (a, b) if side is not None]
        if not sides:
            sides = [str(script.latest_version - 1), str(script.latest_version)]
        elif len(sides) == 1:
            sides = [str(_active(script)), *sides]
        (name_before, before), (name_after, after) = [await _side(at, script, side) for side in sides]
    lines = text_diff(before, after, name_before, name_after)
    if as_json:
        print_rows([{"before": name_before, "after": name_after, "diff": lines}], (), as_json=True)
        return
    print_diff(lines)
    if not lines:
        err.print(f"{name_before} and {name_after} are the same", highlight=False, markup=False)


def _active(script: Script) -> int:
    if script.active_version is None:
        raise VersionNotReady(f"{script.name} has no active version: name two sides.")
    return script.active_version


async def _side(at: TenantSession, script: Script, side: str) -> tuple[str, str]:
    """Return the name and the code of a version, or of a file."""
    if not side.isdecimal():
        return side, read_source(Path(side))
    if side == "0":
        raise ScriptVersionNotFound(f"{script.name} has fewer than two versions.")
    version = await at.query("alloy.versions.get", script_id=script.id, number=side)
    return f"{script.name}@{side}", version.code


async def _rollback(
    reference: str, number: int | None, tenant: str | None, *, yes: bool, dry_run: bool, as_json: bool
) -> None:
    async with open_tenant(tenant) as at:
        script = await at.script(reference)
        target = number or await _previous(at, script)
        err.print(f"{script.name}: version {script.active_version} -> {target}; data is not rolled back")
        if dry_run:
            script = await at.would("alloy.scripts.activate", script_id=script.id, number=target)
        else:
            confirm("Go on?", yes=yes)
            script = await at.run("alloy.scripts.activate", script_id=script.id, number=target)
    print_rows([script.model_dump(mode="json")], _SCRIPT_COLUMNS, as_json=as_json)


async def _previous(at: TenantSession, script: Script) -> int:
    """Return the latest version before the active one that can run."""
    active = _active(script)
    for version in await at.all("alloy.versions.list", script_id=script.id):
        if version.number < active and version.state == "ready":
            number: int = version.number
            return number
    raise VersionNotReady(f"No version of {script.name} before {active} can run.")


async def _change(command: str, reference: str, tenant: str | None, *, as_json: bool, **fields: Any) -> None:
    async with open_tenant(tenant) as at:
        script = await at.script(reference)
        changed = await at.run(command, script_id=script.id, **fields)
    print_rows([changed.model_dump(mode="json")], _SCRIPT_COLUMNS, as_json=as_json)
