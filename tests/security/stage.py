"""Runs hooks in a cage as a worker would: checked by the policy, or past it; and looks whether anything was gained."""

import platform
import socket
import warnings
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

from rustok.sandbox.cage import Cage
from rustok.sandbox.contract import Compiled, HostCallRefused, Job, Limits, Outcome
from rustok.sandbox.language.bytecode import pack
from tests.security.cases import HARMLESS

PATIENT = Limits(wall_ms=30_000)
"""The usual limits, but for a machine that others use too."""
GOOD = "async def handle(event, ctx):\n    return [ctx.tenant_id, await ctx.kv.get(event['n'])]\n"


class Witness:
    """What a hook would touch that got out: a folder where it may write, a port that it may connect to."""

    def __init__(self, folder: Path, listener: socket.socket) -> None:
        self._folder, self._listener = folder, listener
        listener.setblocking(False)
        folder.chmod(0o777)
        self.event: dict[str, Any] = {
            "n": 3,
            "path": str(folder / "made"),
            "port": listener.getsockname()[1],
            "machine": platform.machine(),
        }

    def saw(self) -> list[str]:
        """Return what was touched."""
        made = [path.name for path in self._folder.iterdir()]
        try:
            self._listener.accept()[0].close()
        except BlockingIOError:
            return made
        return [*made, "a connection"]


@contextmanager
def watching(folder: Path) -> Iterator[Witness]:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        yield Witness(folder, listener)


async def answer(name: str, arguments: Mapping[str, Any]) -> Any:
    """Answer a hook with its own arguments, but for the one question that is refused."""
    if name == "secret":
        raise HostCallRefused("permission_denied", "not granted")
    return dict(arguments)


def job(bytecode: bytes, event: Mapping[str, Any], limits: Mapping[str, int] | None = None, tenant: str = "t") -> Job:
    return Job(
        bytecode=bytecode,
        event=event,
        now="2026-01-02T03:04:05+00:00",
        seed="s",
        run_id="r",
        tenant_id=tenant,
        script="x",
        limits=replace(PATIENT, **(limits or {})),
    )


def unchecked(source: str) -> bytes:
    """Compile as Python does, past the policy.

    Raises:
        SyntaxError: it is no Python.
    """
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return pack(compile(source, "<hook>", "exec", dont_inherit=True))


async def checked(cage: Cage, source: str) -> bytes:
    """Compile a hook that is within the language."""
    compiled = await cage.compile(source)
    assert isinstance(compiled, Compiled), compiled
    return compiled.bytecode


def ending(outcome: Outcome) -> str:
    return outcome.fault.code if outcome.fault else HARMLESS


async def serves(cage: Cage) -> bool:
    """Tell whether a good run is right now."""
    outcome = await cage.run(job(unchecked(GOOD), {"n": 3}, tenant="good"), answer)
    return outcome.fault is None and outcome.result == ["good", {"key": 3}]
