"""`rustok scripts replay`: a script once more on an event that really happened, with nothing applied."""

import asyncio
from collections.abc import Iterator, Mapping
from dataclasses import asdict
from datetime import datetime
from pathlib import Path
from typing import Annotated, Any
from uuid import UUID

import typer

from rustok.cli.event_samples import find_event, latest_events
from rustok.cli.output import err, print_rows, printable, to_json
from rustok.cli.script_cage import compile_source, open_cage
from rustok.cli.script_show import effect_lines, error_lines, log_lines, print_diff, print_parts, usage_line
from rustok.cli.script_source import print_faults, read_source
from rustok.cli.script_trial import Trial, try_run
from rustok.cli.tenancy import ScriptArgument, TenantOption, TenantSession, open_tenant
from rustok.cli.tenant import Json
from rustok.kernel.errors import NotFound
from rustok.kernel.event import Envelope
from rustok.modules.alloy import ScriptLimits, cron_event, load_script
from rustok.modules.alloy.documents import of_event, run_id_of
from rustok.modules.alloy.errors import VersionNotReady
from rustok.modules.alloy.schemas import Script
from rustok.modules.alloy.triggers import event_triggers, is_triggered, read_triggers
from rustok.scripting import ScriptRun

app = typer.Typer()

_LOOKED_THROUGH = 1000
"""Events at the end of the log, of which the latest that starts the script is taken where it has no run yet."""


@app.command()
def replay(
    script: ScriptArgument,
    event: Annotated[UUID | None, typer.Option("--event", help="An event of the log, by its id.")] = None,
    run: Annotated[UUID | None, typer.Option("--run", help="The event of a run, by the run's id.")] = None,
    file: Annotated[Path | None, typer.Option("--file", help="This hook, instead of the active version.")] = None,
    tenant: TenantOption = None,
    *,
    last: Annotated[bool, typer.Option("--last", help="The event of the latest run, which is the default.")] = False,
    as_json: Json = False,
) -> None:
    """Run a script in the cage on a recorded event, and show what would change; exit code 1 when it fails.

    It reads what is there now, with its own rights. Its effects are applied in a transaction that is rolled back.
    """
    if (event is not None) + (run is not None) + last > 1:
        raise typer.BadParameter("Choose one of --event, --run and --last.")
    trial = asyncio.run(_replay(script, event, run, file, tenant, as_json=as_json))
    raise typer.Exit(1 if trial.outcome.fault or trial.refused else 0)


async def _replay(
    reference: str, event_id: UUID | None, run_id: UUID | None, file: Path | None, tenant: str | None, *, as_json: bool
) -> Trial:
    async with open_tenant(tenant) as at, open_cage() as cage:
        script = await at.script(reference)
        name, source = await _source(at, script, file)
        run = await _run(at, script, event_id, run_id)
        bytecode = await compile_source(cage, source)
        if not isinstance(bytecode, bytes):
            print_faults(name, bytecode)
            raise typer.Exit(1)
        trial = await try_run(at.session.platform, cage, run, bytecode, at.context)
    if as_json:
        print_rows([_row(name, run, trial)], (), as_json=True)
    else:
        _print(name, run, trial)
    return trial


async def _source(at: TenantSession, script: Script, file: Path | None) -> tuple[str, str]:
    """Return what is run: its name, and its code."""
    if file is not None:
        return str(file), read_source(file)
    if script.active_version is None:
        raise VersionNotReady(f"{script.name} has no active version: push one, or try a file with --file.")
    version = await at.query("alloy.versions.get", script_id=script.id, number=script.active_version)
    return f"{script.name}@{version.number}", version.code


async def _run(at: TenantSession, script: Script, event_id: UUID | None, run_id: UUID | None) -> ScriptRun:
    if event_id is not None:
        return await _of_event(at, script, await find_event(at, event_id))
    if run_id is None:
        latest = (await at.query("alloy.runs.list", script_id=script.id, limit=1)).data
        if not latest:
            return await _of_event(at, script, await _latest_event(at, script))
        run_id = latest[0].run_id
    return await _of_run(at, script, run_id)


async def _latest_event(at: TenantSession, script: Script) -> Envelope:
    triggers = event_triggers(read_triggers(script.triggers))
    for event in await latest_events(at, limit=_LOOKED_THROUGH):
        if any(is_triggered(trigger, event) for trigger in triggers):
            return event
    raise NotFound(f"{script.name} has not run yet, and none of the latest events starts it: name one with --event.")


async def _of_event(at: TenantSession, script: Script, event: Envelope) -> ScriptRun:
    return await _make(at, script, run_id_of(event.event_id, script.id), of_event(event), event.occurred_at)


async def _of_run(at: TenantSession, script: Script, run_id: UUID) -> ScriptRun:
    recorded = await at.query("alloy.runs.get", run_id=run_id)
    created_at = (await at.query("jobs.operations.get", operation_id=run_id)).created_at
    event = recorded.event
    if "id" not in event:
        event = cron_event(run_id, at.tenant_id, at.context.principal.actor, event["payload"]["due_at"])
    return await _make(at, script, run_id, event, created_at)


async def _make(
    at: TenantSession, script: Script, run_id: UUID, event: Mapping[str, Any], created_at: datetime
) -> ScriptRun:
    row: Any = await load_script(at.session.system_engine, at.tenant_id, script.id)
    return ScriptRun(
        id=run_id,
        tenant_id=at.tenant_id,
        script=row,
        event=event,
        limits=ScriptLimits(**(row.limits or {})),
        created_at=created_at,
    )


def _print(name: str, run: ScriptRun, trial: Trial) -> None:
    outcome = trial.outcome
    typer.echo(printable(f"{name} on {run.event['type']} {run.event['id']}"))
    print_parts(
        log=list(log_lines(outcome.logs)),
        error=list(error_lines(_fault(trial))),
        effects=list(effect_lines(outcome.effects)),
        refused=[trial.refused] if trial.refused else [],
        events=list(_event_lines(trial)),
        result=[to_json(outcome.result)],
        used=[usage_line(asdict(outcome.usage), run.limits)],
    )
    for change in trial.changes:
        print_diff(change.diff, indent="  ")
    err.print("nothing was applied")


def _event_lines(trial: Trial) -> Iterator[str]:
    for event in trial.events:
        yield f"{event['type']} {event['aggregate_id']} {to_json(event['payload'])}"


def _row(name: str, run: ScriptRun, trial: Trial) -> dict[str, Any]:
    return {
        "hook": name,
        "event": run.event,
        "result": trial.outcome.result,
        "effects": trial.outcome.effects,
        "logs": trial.outcome.logs,
        "error": _fault(trial),
        "refused": trial.refused,
        "changes": [asdict(change) for change in trial.changes],
        "events": trial.events,
        "usage": asdict(trial.outcome.usage),
        "limits": run.limits.model_dump(),
    }


def _fault(trial: Trial) -> dict[str, Any] | None:
    return asdict(trial.outcome.fault) if trial.outcome.fault else None
