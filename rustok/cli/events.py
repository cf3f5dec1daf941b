"""`rustok events`: follow the log, and say what is in it."""

import asyncio
from dataclasses import asdict
from typing import Annotated

import orjson
import typer

from rustok.catalog import MODULES
from rustok.cli.session import open_session
from rustok.db.failures import translated_failures
from rustok.events.outbox import OutboxTransport
from rustok.kernel.event import LoggedEvent
from rustok.kernel.registry import build_registry

app = typer.Typer(no_args_is_help=True)
_POLL_S = 0.25
_PAGE = 200


@app.callback()
def events() -> None:
    """Follow the event log, and print what its events are made of."""


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
        typer.echo(orjson.dumps({"position": event.position, **asdict(envelope)}, default=str))
        return
    typer.echo(
        f"{event.position:>8}  {envelope.occurred_at:%H:%M:%S.%f}  {envelope.type:<36} "
        f"{envelope.aggregate_id} v{envelope.aggregate_version}  {envelope.actor}"
    )
