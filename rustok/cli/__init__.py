"""The `rustok` command: one file a noun, loaded when it is asked for, so that the command starts quickly."""

import importlib
import sys
from typing import Any

import typer

from rustok.cli.lazy import lazy_group
from rustok.cli.output import fail
from rustok.kernel.errors import RustokError

NOUNS = {
    "dev": "Run the whole platform with a demo tenant and real data",
    "api": "Run the HTTP API",
    "relay": "Run a relay: sequencer, hints, housekeeping",
    "worker": "Run worker processes and replace those that die",
    "db": "Create, migrate and inspect the database",
    "tenant": "Create, show, export and erase tenants; switch them off and on; say where they are found",
    "module": "See which modules a tenant has; enable and disable them",
    "user": "Create, list and disable users; give them roles",
    "role": "Make roles of a tenant's own",
    "apikey": "Create, list, rotate and revoke API keys",
    "audit": "Read the audit log, keep anchors of it, and verify it",
    "import": "Import data through the write path",
    "events": "Follow the event log",
    "dlq": "See what was given up, by cause; redrive or discard it",
    "queue": "See what waits; pause, resume, limit and cancel it",
    "jobs": "List, follow, show, cancel and retry jobs",
    "schedule": "See what is due again and again; switch it off and on",
    "workers": "See which workers live",
    "index": "See how far the projections are",
    "scripts": "Write hooks, try them, let them run, and see what they do",
    "secrets": "Keep what hooks must not show",
    "kv": "Look at what scripts keep",
    "doctor": "Check this installation",
}


def _load(noun: str) -> Any:
    """Return the command of a noun, which is in `rustok.cli.<noun>`."""
    module = "imports" if noun == "import" else noun
    command = typer.main.get_command(importlib.import_module(f"rustok.cli.{module}").app)
    command.name, command.help = noun, NOUNS[noun]
    return command


app = typer.Typer(cls=lazy_group(NOUNS, _load), no_args_is_help=True, pretty_exceptions_enable=False)


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
