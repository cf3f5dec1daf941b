"""`rustok scripts run`, `tail`, `logs`, `redrive`: what scripts do, and have done."""

import asyncio
import sys
from collections.abc import Callable, Iterator, Sequence
from typing import Annotated, Any
from uuid import UUID

import typer

from rustok.cli.output import err, print_rows, printable, to_json, wrong_call
from rustok.cli.script_show import effect_lines, error_lines, log_lines, print_parts
from rustok.cli.script_wait import PATIENCE_S, Patience, wait_for
from rustok.cli.tenancy import DryRun, ScriptArgument, TenantOption, TenantSession, Yes, confirm, open_tenant
from rustok.cli.tenant import Json
from rustok.kernel.errors import RustokError
from rustok.kernel.strict_json import parse_object
from rustok.modules.alloy.runs import latest_attempts
from rustok.modules.alloy.schemas import Attempt, Script, StartedRun

app = typer.Typer()

NoWait = Annotated[bool, typer.Option("--no-wait", help="Print the run's id and go on.")]
_SUCCEEDED = "succeeded"
_POLL_S = 0.5
_PAGE = 100
_OVERLAP = 50
"""Attempts that each poll looks at again: ids are given before the commit, so that one may turn up below the latest."""
_NEVER = UUID(int=0)
_STREAM_HELP = "Print one JSON object a line."


@app.command()
def run(
    script: ScriptArgument,
    data: Annotated[str, typer.Option("--input", help="A JSON object, the event's payload; `-` reads it.")] = "{}",
    tenant: TenantOption = None,
    timeout_s: Patience = PATIENCE_S,
    *,
    no_wait: NoWait = False,
    as_json: Json = False,
) -> None:
    """Start a script by hand, and wait for what comes of it; exit code 1 when it fails."""
    try:
        payload = parse_object(sys.stdin.buffer.read() if data == "-" else data.encode())
    except RustokError as error:
        raise wrong_call(error) from error

    async def start(at: TenantSession, found: Script) -> Any:
        return await at.run("alloy.runs.start", script_id=found.id, input=payload)

    start_and_show(script, tenant, start, None if no_wait else timeout_s, as_json=as_json)


@app.command()
def tail(
    script: Annotated[str | None, typer.Argument(metavar="[SCRIPT]", help="Name or id; all, if not given.")] = None,
    limit: Annotated[int, typer.Option("--limit", "-n", min=0, max=_PAGE, help="Past attempts to show first.")] = 10,
    tenant: TenantOption = None,
    *,
    follow: Annotated[bool, typer.Option("--follow/--no-follow", "-f", help="Go on with what comes.")] = True,
    as_json: Annotated[bool, typer.Option("--json", help=_STREAM_HELP)] = False,
) -> None:
    """Print attempts at runs as they end, until Ctrl-C."""
    asyncio.run(_tail(script, limit, tenant, follow=follow, as_json=as_json))


@app.command()
def logs(
    script: ScriptArgument,
    run: Annotated[UUID | None, typer.Option("--run", help="Only of this run.")] = None,
    outcome: Annotated[str | None, typer.Option(help="Only with this outcome: `succeeded`, or a code.")] = None,
    limit: Annotated[int, typer.Option("--limit", "-n", min=1, max=_PAGE, help="The latest attempts.")] = 20,
    tenant: TenantOption = None,
    *,
    as_json: Json = False,
) -> None:
    """Print what a script logged, did, and why it failed, oldest first."""
    asyncio.run(_logs(script, run, outcome, limit, tenant, as_json=as_json))


@app.command()
def redrive(
    script: ScriptArgument,
    run: Annotated[UUID | None, typer.Option("--run", help="Only this run.")] = None,
    tenant: TenantOption = None,
    *,
    yes: Yes = False,
    dry_run: DryRun = False,
    as_json: Json = False,
) -> None:
    """Let runs that were given up be tried again, by the version that is active by then.

    Without --run also the script's requests that were given up are sent again.
    """
    asyncio.run(_redrive(script, run, tenant, yes=yes, dry_run=dry_run, as_json=as_json))


def start_and_show(
    script: str,
    tenant: str | None,
    start: Callable[[TenantSession, Script], Any],
    timeout_s: float | None,
    *,
    as_json: bool,
) -> None:
    """Start a run and show its first attempt, or only its id without *timeout_s*; exit code 1 when it failed."""
    attempt = asyncio.run(_start(script, tenant, start, timeout_s, as_json=as_json))
    raise typer.Exit(0 if attempt is None or attempt.outcome == _SUCCEEDED else 1)


async def _start(
    reference: str,
    tenant: str | None,
    start: Callable[[TenantSession, Script], Any],
    timeout_s: float | None,
    *,
    as_json: bool,
) -> Attempt | None:
    async with open_tenant(tenant) as at:
        script = await at.script(reference)
        started: StartedRun = await start(at, script)
        run_id = started.operation_id

        async def attempted() -> Attempt | None:
            return next(iter((await at.query("alloy.runs.get", run_id=run_id)).attempts), None)

        if timeout_s is None:
            print_rows([{"run_id": run_id, "script": script.name}], ("run_id", "script"), as_json=as_json)
            return None
        attempt = await wait_for(at, attempted, f"run {run_id}", timeout_s)
    _print_all([attempt], {script.id: script.name}, as_json=as_json)
    if attempt.outcome != _SUCCEEDED:
        err.print(f"it may be tried again: rustok scripts logs {script.name} --run {run_id}", highlight=False)
    return attempt


async def _tail(reference: str | None, limit: int, tenant: str | None, *, follow: bool, as_json: bool) -> None:
    async with open_tenant(tenant) as at:
        script = None if reference is None else await at.script(reference)
        names = _Names(at)
        found = await _latest(at, script, _PAGE)
        shown = {attempt.id for attempt in found[limit:]}
        while True:
            for attempt in reversed(found):
                if attempt.id not in shown:
                    _print_line(attempt, await names.of(attempt.script_id), as_json=as_json)
            shown = {attempt.id for attempt in found}
            if not follow:
                return
            await asyncio.sleep(_POLL_S)
            found = await _since(at, script, max(shown, default=_NEVER))


async def _since(at: TenantSession, script: Script | None, last: UUID) -> Sequence[Attempt]:
    """Return the attempts after *last*, however many there are, and the overlap; newest first."""
    limit = _PAGE
    while True:
        found = await _latest(at, script, limit)
        if len(found) < limit or found[-_OVERLAP].id <= last:
            return found
        limit *= 2


async def _latest(at: TenantSession, script: Script | None, limit: int) -> Sequence[Attempt]:
    """Return at least *limit* attempts of a script, or of all, as far as there are so many; newest first."""
    if script is None:
        async with at.session.platform.units.begin(at.context, read_only=True) as uow:
            return await latest_attempts(uow, limit)
    found: list[Attempt] = []
    after: str | None = None
    while True:
        page = await at.query("alloy.runs.list", script_id=script.id, limit=_PAGE, after=after)
        found += page.data
        after = page.page.next
        if after is None or len(found) >= limit:
            return found


class _Names:
    """Names of scripts by id, asked for once each time an unknown one turns up."""

    def __init__(self, at: TenantSession) -> None:
        self._at = at
        self._names: dict[UUID, str] = {}

    async def of(self, script_id: UUID) -> str:
        if script_id not in self._names:
            self._names |= {script.id: script.name for script in await self._at.all("alloy.scripts.list")}
        return self._names.setdefault(script_id, str(script_id))  # it was deleted


def _print_line(attempt: Attempt, name: str, *, as_json: bool) -> None:
    if as_json:
        typer.echo(to_json({"script": name, **attempt.model_dump(mode="json")}))
        return
    typer.echo(_headline(attempt, name))
    print_parts(log=list(log_lines(attempt.logs)), error=list(error_lines(attempt.error)))
    sys.stdout.flush()


async def _logs(
    reference: str, run_id: UUID | None, outcome: str | None, limit: int, tenant: str | None, *, as_json: bool
) -> None:
    async with open_tenant(tenant) as at:
        script = await at.script(reference)
        if run_id is None:
            page = await at.query("alloy.runs.list", script_id=script.id, outcome=outcome, limit=limit)
            found = list(reversed(page.data))
        else:
            attempts = (await at.query("alloy.runs.get", run_id=run_id)).attempts
            found = [attempt for attempt in attempts if outcome in (None, attempt.outcome)][-limit:]
    _print_all(found, {script.id: script.name}, as_json=as_json)
    err.print(f"{len(found)} attempts", highlight=False)


def _print_all(attempts: Sequence[Attempt], names: dict[UUID, str], *, as_json: bool) -> None:
    if as_json:
        print_rows([attempt.model_dump(mode="json") for attempt in attempts], (), as_json=True)
        return
    for attempt in attempts:
        typer.echo(_headline(attempt, names.get(attempt.script_id, str(attempt.script_id))))
        print_parts(
            log=list(log_lines(attempt.logs)),
            error=list(error_lines(attempt.error)),
            effects=list(effect_lines(attempt.effects)),
            result=list(_result_lines(attempt)),
        )


def _result_lines(attempt: Attempt) -> Iterator[str]:
    if attempt.result is not None:
        yield to_json(attempt.result)


def _headline(attempt: Attempt, name: str) -> str:
    version = "" if attempt.script_version is None else f"@{attempt.script_version}"
    colour = "green" if attempt.outcome == _SUCCEEDED else "red"
    took = f"  {attempt.usage['wall_ms']:.0f} ms" if "wall_ms" in attempt.usage else ""
    return (
        f"{attempt.finished_at:%Y-%m-%d %H:%M:%S}  {name}{version}  {typer.style(attempt.outcome, fg=colour)}"
        f"{took}  {printable(attempt.event_type)}  run {attempt.run_id} attempt {attempt.attempt}"
    )


async def _redrive(
    reference: str, run_id: UUID | None, tenant: str | None, *, yes: bool, dry_run: bool, as_json: bool
) -> None:
    async with open_tenant(tenant) as at:
        script = await at.script(reference)
        command, what = "alloy.runs.redrive_all", "runs and requests"
        fields: dict[str, Any] = {"script_id": script.id}
        if run_id is not None:
            command, what, fields = "alloy.runs.redrive", "runs", {"run_id": run_id}
        found = await at.would(command, **fields)
        if not dry_run:
            confirm(f"Try {found.count} {what} of {script.name} again?", yes=yes)
            found = await at.run(command, **fields)
    print_rows([{"script": script.name, "count": found.count}], ("script", "count"), as_json=as_json)
