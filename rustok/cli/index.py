"""`rustok index`: how far the projections are."""

import asyncio
from dataclasses import asdict

import typer

from rustok.cli.output import err, print_rows
from rustok.cli.session import open_session
from rustok.cli.tenant import Json
from rustok.db.failures import translated_failures
from rustok.events.figures import read_figures

app = typer.Typer(no_args_is_help=True)


@app.callback()
def index() -> None:
    """See how far the projections are."""


@app.command()
def status(*, as_json: Json = False) -> None:
    """Tell for each consumer how many events it has not read, for how long, and what it has parked."""
    asyncio.run(_status(as_json=as_json))


async def _status(*, as_json: bool) -> None:
    async with open_session() as session:
        with translated_failures():
            figures = await read_figures(session.system_engine)
    columns = ("consumer", "lag_events", "lag_s", "retrying", "dead", "needs_version")
    print_rows([asdict(consumer) for consumer in figures.consumers], columns, as_json=as_json)
    err.print(f"log at {figures.position}, {figures.outbox_pending} events wait for the sequencer")
