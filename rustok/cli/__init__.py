"""The `rustok` command: one file a noun, loaded when it is asked for, so that the command starts quickly."""

import importlib
import sys
from typing import Any

import typer
from typer.core import TyperCommand, TyperGroup

from rustok.cli.output import fail
from rustok.kernel.errors import RustokError

NOUNS = {
    "dev": "Run the whole platform with a demo tenant and real data",
    "api": "Run the HTTP API",
    "relay": "Run a relay: sequencer, hints, housekeeping",
    "worker": "Run worker processes and replace those that die",
    "db": "Create, migrate and inspect the database",
    "tenant": "Create and list tenants",
    "apikey": "Create, list and revoke API keys",
    "import": "Import data through the write path",
    "events": "Follow the event log",
    "dlq": "List and redrive dead letters",
    "index": "See how far the projections are",
    "scripts": "Check hooks at your desk",
    "doctor": "Check this installation",
}


class _Nouns(TyperGroup):
    """Knows its nouns by name, for the list of them; imports `rustok.cli.<noun>` when that one is asked for."""

    def __init__(self, **attributes: Any) -> None:
        super().__init__(**attributes)
        self.commands = {noun: TyperCommand(noun, help=purpose) for noun, purpose in NOUNS.items()}

    def resolve_command(self, ctx: Any, args: list[str]) -> tuple[str | None, Any, list[str]]:
        noun, command, rest = super().resolve_command(ctx, args)
        return noun, command and _load(command), rest


def _load(noun: Any) -> Any:
    """Return the command that the listed *noun* stands for."""
    module = "imports" if noun.name == "import" else noun.name
    command = typer.main.get_command(importlib.import_module(f"rustok.cli.{module}").app)
    command.name, command.help = noun.name, noun.help
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
