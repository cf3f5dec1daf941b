"""The `rustok` command: one file a noun, loaded when it is asked for, so that the command starts quickly."""

import importlib
import sys
from typing import Any

import typer
from typer.core import TyperGroup

from rustok.cli.output import fail
from rustok.kernel.errors import RustokError

NOUNS = {
    "dev": "Run the whole platform with a demo tenant and real data",
    "api": "Run the HTTP API",
    "relay": "Run a relay: sequencer, hints, figures",
    "worker": "Run worker processes and replace those that die",
    "db": "Create, migrate and inspect the database",
    "tenant": "Create and list tenants",
    "apikey": "Create, list and revoke API keys",
    "import": "Import data through the write path",
    "events": "Follow the event log",
    "dlq": "List and redrive dead letters",
    "index": "See how far the projections are",
    "doctor": "Check this installation",
}


class _Nouns(TyperGroup):
    """Imports `rustok.cli.<noun>` when the noun is used or its help is wanted."""

    def list_commands(self, ctx: Any) -> list[str]:  # noqa: ARG002 - the base's signature
        return list(NOUNS)

    def get_command(self, ctx: Any, cmd_name: str) -> Any:  # noqa: ARG002 - the base's signature
        if cmd_name not in NOUNS:
            return None
        module = "imports" if cmd_name == "import" else cmd_name
        app: typer.Typer = importlib.import_module(f"rustok.cli.{module}").app
        command = typer.main.get_command(app)
        command.name = cmd_name
        command.help = NOUNS[cmd_name]
        return command


app = typer.Typer(cls=_Nouns, no_args_is_help=True, add_completion=True, pretty_exceptions_enable=False)


@app.callback()
def rustok() -> None:
    """RusToK: shop, content and automation for many tenants.

    Data goes to standard output, everything else to standard error. Exit codes: 0 done, 1 failed with a
    coded error, 2 the call was wrong.
    """


def main() -> None:
    """Run the command line; a coded error becomes one line and exit code 1."""
    try:
        app()
    except RustokError as error:
        fail(error)
    except KeyboardInterrupt:
        sys.exit(130)
