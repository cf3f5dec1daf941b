"""The stub package of hooks says what `ctx` is, and checkers find it."""

import ast
import asyncio
import inspect
import sys
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from random import Random
from textwrap import dedent
from typing import Any

import pytest

import rustok.sandbox
from rustok.modules.alloy.schemas import HookEvent
from rustok.sandbox.language.context import Context, Http, KeyValues, Log, State
from rustok.sandbox.language.facades import MODULES, seeded
from tests.integration.cli.conftest import Cli

STUB = Path(rustok.sandbox.__file__).parent / "types" / "alloy" / "__init__.pyi"
LIMITS = {"host_calls": 1, "output_bytes": 1, "log_bytes": 1}
JOB = {"run_id": "1", "tenant_id": "2", "script": "tagger"}


def stubbed(name: str) -> dict[str, str | None]:
    """Return what the stub says of a class: its attributes, and of methods their parameters."""
    classes = [node for node in ast.parse(STUB.read_text()).body if isinstance(node, ast.ClassDef)]
    [body] = [node.body for node in classes if node.name == name]
    return dict(_members(body))


def _members(body: list[ast.stmt]) -> Iterator[tuple[str, str | None]]:
    for node in body:
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            yield node.name, _parameters(node)
        elif isinstance(node, ast.AnnAssign) and isinstance(node.target, ast.Name):
            yield node.target.id, None


def _parameters(node: ast.FunctionDef | ast.AsyncFunctionDef) -> str:
    """Return names, kinds and defaults, without annotations."""
    for argument in ast.walk(node.args):
        if isinstance(argument, ast.arg):
            argument.annotation = None
    awaited = "async " if isinstance(node, ast.AsyncFunctionDef) else ""
    return awaited + ast.unparse(node.args)


def offered(thing: Any) -> dict[str, str | None]:
    """Return the same of an object that hooks get."""
    names = {name for name in dir(thing) if not name.startswith("_")}
    if "__call__" in vars(type(thing)):
        names.add("__call__")
    return {name: _signature(thing, name) for name in names}


def _signature(thing: Any, name: str) -> str | None:
    function = getattr(type(thing), name, None)
    if function is None:
        return None
    [node] = ast.parse(dedent(inspect.getsource(function))).body
    assert isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
    return _parameters(node)


@pytest.mark.parametrize("name", ["Context", "KeyValues", "Http", "Log"])
def test_the_stub_has_what_hooks_get(name: str) -> None:
    """Every public attribute, with the same parameters in the same order; nothing else."""
    state, chance = State(LIMITS), Random(1)
    things = {
        "Context": Context(state, JOB, datetime(2026, 3, 2, tzinfo=UTC), seeded(chance), chance),
        "KeyValues": KeyValues(state),
        "Http": Http(state),
        "Log": Log(state),
    }

    assert stubbed(name) == offered(things[name])


def test_the_stub_has_the_fields_of_an_event_and_the_functions_of_chance() -> None:
    """They are those of the platform's own event document and facade."""
    assert set(stubbed("Event")) == set(HookEvent.model_fields)
    assert set(stubbed("Random")) == set(MODULES["random"])


async def test_a_checker_finds_the_stub_beside_the_hook(offline: Cli, tmp_path: Path) -> None:
    """Mypy passes a good hook and names a wrong call, without any configuration."""
    good = 'async def handle(event: Event, ctx: Context) -> None:\n    ctx.kv.set("seen", event["id"])\n'
    (tmp_path / "good.py").write_text("from alloy import Context, Event\n\n\n" + good)
    (tmp_path / "bad.py").write_text("from alloy import Context, Event\n\n\n" + good.replace("kv.set", "kv.sett"))

    written = await offline("scripts", "types", str(tmp_path))
    code, told = await mypy(tmp_path, "good.py")
    bad_code, bad_told = await mypy(tmp_path, "bad.py")

    assert written.code == 0
    assert (code, "no issues found" in told) == (0, True)
    assert bad_code == 1
    assert 'bad.py:5: error: "KeyValues" has no attribute "sett"' in bad_told


async def mypy(directory: Path, file: str) -> tuple[int | None, str]:
    command = (sys.executable, "-m", "mypy", "--strict", "--config-file=", f"--cache-dir={directory / 'cache'}", file)
    process = await asyncio.create_subprocess_exec(*command, cwd=directory, stdout=asyncio.subprocess.PIPE)
    out, _ = await process.communicate()
    return process.returncode, out.decode()
