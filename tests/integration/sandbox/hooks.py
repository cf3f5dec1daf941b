"""Hooks written here, some as their authors may, some as no policy would let them."""

import textwrap
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from rustok.sandbox.cage import Cage
from rustok.sandbox.contract import Compiled, HostCallRefused, Job, Limits, Outcome
from rustok.sandbox.language.bytecode import pack

REACH = """
def reach(ctx):
    for kind in ().__class__.__base__.__subclasses__():
        if kind.__name__ == "_wrap_close":
            return kind.__init__.__globals__["sys"].modules["os"]
def module(ctx, name):
    return reach(ctx).sys.modules[name]
"""
"""What a hook finds that no policy has read: the module `os`, and every other one that is loaded."""


async def compiled(cage: Cage, body: str) -> bytes:
    """Compile a hook of these statements, as its author would."""
    result = await cage.compile(f"\nasync def handle(event, ctx):\n{textwrap.indent(body, '    ')}\n")
    assert isinstance(result, Compiled), result
    return result.bytecode


def raw(body: str) -> bytes:
    """Compile statements without the policy."""
    source = f"{REACH}\nasync def handle(event, ctx):\n{textwrap.indent(body, '    ')}\n"
    return pack(compile(source, "<hook>", "exec"))


PATIENT = Limits(wall_ms=60_000)
"""The usual limits, but for a machine that others use too."""


def job(bytecode: bytes, event: Mapping[str, Any] | None = None, limits: Limits | None = None) -> Job:
    return Job(
        bytecode=bytecode,
        event=event or {},
        now="2026-01-02T03:04:05+00:00",
        seed="s",
        run_id="r1",
        tenant_id="t1",
        script="x",
        limits=limits or PATIENT,
    )


async def run(cage: Cage, body: str, **limits: int) -> Outcome:
    """Run a hook of these statements; nothing is ever found."""
    return await cage.run(job(await compiled(cage, body), limits=replace(PATIENT, **limits)), nothing)


async def run_raw(cage: Cage, body: str, **limits: int) -> Outcome:
    return await cage.run(job(raw(body), limits=replace(PATIENT, **limits)), nothing)


async def nothing(_name: str, _arguments: Mapping[str, Any]) -> None:
    """Answer nothing to every call."""


async def echo(name: str, arguments: Mapping[str, Any]) -> Any:
    return {"name": name, "arguments": arguments}


async def refuse(_name: str, _arguments: Mapping[str, Any]) -> Any:
    raise HostCallRefused("permission_denied", "Not granted.")
