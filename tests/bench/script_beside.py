"""What stands beside the cage: other ways to run the hook once on an event, each as a function of no arguments.

Each is checked to give the hook's answer before it is measured.
"""

import importlib
import json
import re
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from RestrictedPython.compile import compile_restricted
from RestrictedPython.Eval import default_guarded_getitem, default_guarded_getiter
from RestrictedPython.Guards import guarded_iter_unpack_sequence, safe_builtins, safer_getattr

from rustok.sandbox.language.compiler import compile_source
from rustok.sandbox.language.runtime import run
from tests.bench.script_hook import ADDED, CTX, EVENT, HOOK, job_of

RunOnce = Callable[[], Any]
"""Runs the hook on the event and returns its result."""

_SYNC_HOOK = HOOK.replace("async def", "def")
"""RestrictedPython as it comes refuses `async def`."""
_LIMITS = {"host_calls": 50, "output_bytes": 256 << 10, "log_bytes": 16 << 10}

_COLD = f"""
import json, sys
{CTX}
{_SYNC_HOOK}
ctx = Ctx()
result = handle(json.load(sys.stdin), ctx)
json.dump({{"result": result, "effects": ctx.effects, "logs": ctx.logs}}, sys.stdout)
"""
_MONTY = f"""
{HOOK}
{CTX}
ctx = Ctx()
{{"result": await handle(event, ctx), "effects": ctx.effects, "logs": ctx.logs}}
"""


def in_process() -> RunOnce:
    """Return what the cage does in a child, done here, without any protection or frame: the limit."""
    bytecode = compile_source(HOOK)
    assert isinstance(bytecode, bytes)
    job = job_of(bytecode)
    fields = {name: getattr(job, name) for name in ("event", "now", "seed", "run_id", "tenant_id", "script")}
    return _checked(lambda: run(bytecode, {**fields, "limits": _LIMITS}, _nothing_found)["result"])


def restricted_python() -> RunOnce:
    """Return RestrictedPython as it comes, with its own guards, in this process."""
    code = compile_restricted(_SYNC_HOOK, "<hook>", "exec")
    builtins = {**safe_builtins, "__import__": lambda *_: re, "set": set}
    guards = {
        "_getattr_": safer_getattr,
        "_getitem_": default_guarded_getitem,
        "_getiter_": default_guarded_getiter,
        "_iter_unpack_sequence_": guarded_iter_unpack_sequence,
    }
    offered: dict[str, Any] = {}
    exec(CTX, offered)  # noqa: S102 - ours

    def once() -> Any:
        scope: dict[str, Any] = {"__builtins__": builtins, **guards}
        exec(code, scope)  # noqa: S102 - ours
        return scope["handle"](EVENT, offered["Ctx"]())

    return _checked(once)


def cold_python() -> RunOnce:
    """Return a fresh interpreter for each run."""
    return _checked(_process([sys.executable, "-I", "-S", "-c", _COLD]))


def bubblewrap() -> RunOnce | None:
    """Return a fresh interpreter in namespaces of its own for each run; None where `bwrap` is not on PATH."""
    program = shutil.which("bwrap")
    if program is None:
        return None
    cage = ["--ro-bind", "/", "/", "--unshare-all", "--die-with-parent", "--clearenv"]
    return _checked(_process([program, *cage, "--", sys.executable, "-I", "-S", "-c", _COLD]))


@contextmanager
def pydantic_monty() -> Iterator[RunOnce | None]:
    """Yield a Python written in Rust, with a pool of processes that are used again; None where it is not installed.

    It is given the source each time: it keeps no bytecode between sessions.
    """
    if importlib.util.find_spec("pydantic_monty") is None:
        yield None
        return
    with importlib.import_module("pydantic_monty").Monty() as pool:

        def once() -> Any:
            with pool.checkout() as session:
                return session.feed_run(_MONTY, inputs={"event": EVENT})["result"]

        yield _checked(once)


def _process(command: Sequence[str | Path]) -> RunOnce:
    event = json.dumps(EVENT).encode()

    def once() -> Any:
        ended = subprocess.run(command, input=event, stdout=subprocess.PIPE, check=True, env={})  # noqa: S603 - ours
        return json.loads(ended.stdout)["result"]

    return once


def _checked(once: RunOnce) -> RunOnce:
    assert once() == {"added": ADDED}
    return once


def _nothing_found(_call: dict[str, Any]) -> dict[str, Any]:
    return {"value": None}
