"""`rustok events`: follow the log, say what is in it, and start scripts on it."""

import asyncio
from dataclasses import asdict
from typing import Annotated, Any
from uuid import UUID

import orjson
import typer

from rustok.catalog import MODULES
from rustok.cli.event_samples import STARTS, find_event, latest_events, sample
from rustok.cli.output import print_rows, printable, to_json
from rustok.cli.script_runs import NoWait, start_and_show
from rustok.cli.script_wait import PATIENCE_S, Patience
from rustok.cli.session import open_session
from rustok.cli.tenancy import ScriptArgument, TenantOption, TenantSession, open_tenant
from rustok.cli.tenant import Json
from rustok.db.failures import translated_failures
from rustok.events.outbox import OutboxTransport
from rustok.kernel.errors import NotFound
from rustok.kernel.event import LoggedEvent
from rustok.kernel.ids import uuid7
from rustok.kernel.registry import build_registry
from rustok.modules.alloy.documents import of_event
from rustok.modules.alloy.schemas import Script

app = typer.Typer(no_args_is_help=True)
_POLL_S = 0.25
_PAGE = 200


@app.callback()
def events() -> None:
    """Follow the event log, print what its events are made of, start scripts on them."""


@app.command()
def tail(
    limit: Annotated[int, typer.Option("--limit", "-n", min=0, help="How many past events to show first.")] = 20,
    *,
    follow: Annotated[bool, typer.Option("--follow/--no-follow", "-f", help="Go on with what comes.")] = True,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object a line.")] = False,
) -> None:
    """Print events as they get their place in the log, until Ctrl-C."""
    asyncio.run(_tail(limit, follow=follow, as_json=as_json))


@app.command()
def schemas() -> None:
    """Print the JSON Schema of each event's payload, by type and version."""
    typer.echo(orjson.dumps(build_registry(MODULES).event_schemas(), option=orjson.OPT_INDENT_2))


@app.command()
def samples(
    event_type: Annotated[str | None, typer.Argument(metavar="[TYPE]", help="Type of the event.")] = None,
    tenant: TenantOption = None,
    *,
    last: Annotated[bool, typer.Option("--last", help="The latest real one of the tenant's log.")] = False,
    as_json: Json = False,
) -> None:
    """Print an event as hooks see it, made up or real; without a type, list the types."""
    if last:
        _print_event(asyncio.run(_latest(event_type, tenant)))
    elif event_type is not None:
        _print_event(sample(build_registry(MODULES), event_type, uuid7()))
    else:
        print_rows(_types(), ("type", "version", "aggregate", "meaning"), as_json=as_json)


@app.command()
def trigger(
    script: ScriptArgument,
    event: Annotated[UUID | None, typer.Option("--event", help="An event of the log, by its id.")] = None,
    made_up: Annotated[str | None, typer.Option("--sample", metavar="TYPE", help="A made-up event.")] = None,
    tenant: TenantOption = None,
    timeout_s: Patience = PATIENCE_S,
    *,
    no_wait: NoWait = False,
    as_json: Json = False,
) -> None:
    """Start an active script on an event, for good: its effects are applied. `scripts replay` only tries."""
    if (event is None) == (made_up is None):
        raise typer.BadParameter("Name the event with either --event or --sample.")

    async def start(at: TenantSession, found: Script) -> Any:
        document = await _document(at, event, made_up)
        return await at.run("alloy.runs.replay", script_id=found.id, event=document)

    start_and_show(script, tenant, start, None if no_wait else timeout_s, as_json=as_json)


async def _document(at: TenantSession, event_id: UUID | None, made_up: str | None) -> dict[str, Any]:
    if event_id is not None:
        return of_event(await find_event(at, event_id))
    return sample(at.session.platform.registry, str(made_up), at.tenant_id)


async def _latest(event_type: str | None, tenant: str | None) -> dict[str, Any]:
    async with open_tenant(tenant) as at:
        for event in await latest_events(at, event_type):
            return of_event(event)
    raise NotFound(f"The tenant's log has no event {event_type or 'yet'}.")


def _types() -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = [
        {"type": name, "version": version, "aggregate": event.aggregate, "meaning": _first_line(event)}
        for (name, version), event in sorted(build_registry(MODULES).events.items())
    ]
    return found + [{"type": name, "version": 1, "aggregate": "run", "meaning": text} for name, text in STARTS.items()]


def _first_line(event: type) -> str:
    return (event.__doc__ or "").strip().partition("\n")[0]


def _print_event(event: dict[str, Any]) -> None:
    typer.echo(to_json(event, indent=2))


async def _tail(limit: int, *, follow: bool, as_json: bool) -> None:
    async with open_session() as session:
        transport = OutboxTransport(session.system_engine)
        with translated_failures():
            position = max(0, await transport.head() - limit)
            while True:
                events = await transport.read_all(position, _PAGE)
                for event in events:
                    _print(event, as_json=as_json)
                position = events[-1].position if events else position
                if len(events) == _PAGE:
                    continue
                if not follow:
                    return
                await asyncio.sleep(_POLL_S)


def _print(event: LoggedEvent, *, as_json: bool) -> None:
    envelope = event.envelope
    if as_json:
        typer.echo(printable(orjson.dumps({"position": event.position, **asdict(envelope)}, default=str).decode()))
        return
    line = (
        f"{event.position:>8}  {envelope.occurred_at:%H:%M:%S.%f}  {envelope.type:<36} "
        f"{envelope.aggregate_id} v{envelope.aggregate_version}  {envelope.actor}"
    )
    typer.echo(printable(line))
