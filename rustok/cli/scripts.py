"""`rustok scripts`: write hooks, try them, let them run; the file of a verb is loaded when it is asked for."""

import importlib
from typing import Any, NamedTuple

import typer

from rustok.cli.lazy import lazy_group


class _Verb(NamedTuple):
    file: str
    purpose: str


VERBS = {
    "new": _Verb("script_new", "Make a folder for a hook"),
    "types": _Verb("script_new", "Write what editors and type checkers need to know"),
    "check": _Verb("script_check", "Tell what keeps a file from being a hook"),
    "test": _Verb("script_cases", "Run a hook's cases in the cage and compare"),
    "replay": _Verb("script_replay", "Run a script on a recorded event, and apply nothing"),
    "push": _Verb("script_push", "Hand in a hook as a version, and let it run"),
    "list": _Verb("script_list", "List scripts by name"),
    "versions": _Verb("script_versions", "List the versions of a script"),
    "diff": _Verb("script_versions", "Show what differs between versions, or from a file"),
    "rollback": _Verb("script_versions", "Let an earlier version run again"),
    "canary": _Verb("script_versions", "Let some of the runs take another version"),
    "enable": _Verb("script_versions", "Let events start a script"),
    "disable": _Verb("script_versions", "Let events pass without starting a script"),
    "run": _Verb("script_runs", "Start a script by hand"),
    "tail": _Verb("script_runs", "Print what scripts do, as they do it"),
    "logs": _Verb("script_runs", "Print what a script did, and why it failed"),
    "redrive": _Verb("script_runs", "Let runs and requests that were given up be tried again"),
    "limits": _Verb("script_limits", "Show and set what the scripts of a tenant may use"),
}


def _load(verb: str) -> Any:
    group: Any = typer.main.get_group(importlib.import_module(f"rustok.cli.{VERBS[verb].file}").app)
    return group.commands[verb]


app = typer.Typer(cls=lazy_group({name: verb.purpose for name, verb in VERBS.items()}, _load), no_args_is_help=True)


@app.callback()
def scripts() -> None:
    """Write hooks: Python that reacts to events."""
