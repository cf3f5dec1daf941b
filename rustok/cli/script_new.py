"""`rustok scripts new` and `types`: a folder to begin with, and what an editor needs to know of hooks."""

import json
import shutil
from importlib import resources
from pathlib import Path
from typing import Annotated, Any

import typer

from rustok.catalog import MODULES
from rustok.cli.event_samples import sample
from rustok.cli.output import err
from rustok.cli.script_folder import find_folder, gallery, write_json
from rustok.dispatch import validate
from rustok.kernel.errors import InvalidInput
from rustok.kernel.ids import uuid7
from rustok.kernel.registry import build_registry
from rustok.modules.alloy.schemas import CreateScript

app = typer.Typer()

_STARTS_ON = "commerce.product.created"
_HOOK = '''\
"""Says what was created."""

from alloy import Context, Event


async def handle(event: Event, ctx: Context) -> dict[str, str]:
    ctx.log("created", kind=event["aggregate_type"])
    return {"created": event["aggregate_id"]}
'''
_README = """\
# {name}

What it does, what it needs, how to adapt it.

    rustok scripts check {name}/hook.py
    rustok scripts test {name}
    rustok scripts push {name}
    rustok scripts logs {name}

Case by case, `cases/<case>` has an event, the answers to what the hook asks, in this order, and what comes of it.
"""


@app.command()
def new(
    name: Annotated[str, typer.Argument(help="Name of the script, and of the folder: a-z, 0-9 and single hyphens.")],
    source: Annotated[str | None, typer.Option("--from", help="A hook of the gallery to begin with.")] = None,
) -> None:
    """Make a folder for a hook: code, manifest, a case, and types for editors."""
    folder = Path(name)
    manifest = _manifest(name)
    if folder.exists():
        raise InvalidInput(f"{folder} exists: choose another name.")
    if source is None:
        _write(folder, manifest)
    else:
        _copy(source, folder)
    write_types(folder)
    err.print(f"{folder} is there; next: rustok scripts test {folder}", highlight=False)


@app.command()
def types(directory: Annotated[Path, typer.Argument(metavar="DIR", help="Where hooks are.")] = Path()) -> None:
    """Write what editors and type checkers need to know of `alloy`, into the folder alloy of DIR."""
    written = write_types(directory)
    err.print(f"{written} is there: `from alloy import Context, Event`", highlight=False, markup=False)


def write_types(directory: Path) -> Path:
    """Write the stub package where checkers look first: beside the hook, or where they are started."""
    package = directory / "alloy"
    try:
        package.mkdir(parents=True, exist_ok=True)
        for name in ("__init__.pyi", "py.typed"):
            (package / name).write_bytes((resources.files("rustok.sandbox") / "types" / "alloy" / name).read_bytes())
    except OSError as error:
        raise InvalidInput(f"{package} cannot be written: {error.strerror}.") from error
    return package


def _manifest(name: str) -> dict[str, Any]:
    """Return a manifest with this name. Raises InvalidInput where it is no name."""
    manifest = {
        "name": name,
        "description": "Says what was created.",
        "triggers": [{"kind": "event", "pattern": _STARTS_ON}],
        "grants": [],
        "hosts": [],
        "secrets": [],
    }
    validate(CreateScript, manifest)
    return manifest


def _write(folder: Path, manifest: dict[str, Any]) -> None:
    event = sample(build_registry(MODULES), _STARTS_ON, uuid7())
    case = folder / "cases" / "example"
    case.mkdir(parents=True)
    (folder / "hook.py").write_text(_HOOK, encoding="utf-8")
    (folder / "README.md").write_text(_README.format(name=folder.name), encoding="utf-8")
    write_json(folder / "script.json", manifest)
    write_json(case / "event.json", event)
    write_json(case / "answers.json", [])
    log = {"level": "info", "message": "created", "fields": {"kind": event["aggregate_type"]}}
    write_json(case / "expected.json", {"result": {"created": event["aggregate_id"]}, "effects": [], "logs": [log]})


def _copy(source: str, folder: Path) -> None:
    """Copy a hook and give it its new name."""
    shutil.copytree(find_folder(source, (gallery(),)).path, folder)
    manifest = json.loads((folder / "script.json").read_bytes())
    write_json(folder / "script.json", {**manifest, "name": folder.name})
