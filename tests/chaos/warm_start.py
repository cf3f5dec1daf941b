"""Starts Python modules from a process that has imported most of what they need: in a tenth of the time, and alike.

What is killed by the thousand is started by the thousand: two seconds each would be most of what a scenario takes.
"""

import os
import runpy
import signal
import subprocess
import sys
import threading
from collections.abc import Mapping, Sequence
from functools import cache
from multiprocessing import get_context, parent_process
from multiprocessing.connection import wait
from multiprocessing.context import ForkServerContext, ForkServerProcess

from rustok.cli.supervisor import Running

# Not the modules that are run, nor what binds the catalogue: `tests.chaos.root` adds a module to it first.
_IMPORTED = (
    "__main__",
    "alembic.config",
    "alembic.script",
    "rustok.bootstrap",
    "rustok.catalog",
    "rustok.events.sequencer",
    "rustok.events.store",
    "rustok.jobs.store",
    "rustok.sandbox.cage",
    "rustok.telemetry.metrics",
    "starlette.applications",
    "tests.chaos.witness",
    "uvicorn.main",
    "uvloop",
    "workers.broker",
)


class _Forked:
    """A forked process, as a `subprocess.Popen`."""

    def __init__(self, process: ForkServerProcess) -> None:
        self._process = process

    @property
    def pid(self) -> int:
        return self._process.pid or 0

    def poll(self) -> int | None:
        return self._process.exitcode

    def wait(self, timeout: float | None = None) -> int:
        self._process.join(timeout)
        status = self.poll()
        if status is None:
            raise subprocess.TimeoutExpired(str(self.pid), timeout or 0.0)
        return status

    def terminate(self) -> None:
        self._process.terminate()

    def kill(self) -> None:
        self._process.kill()


def spawn_warm(arguments: Sequence[str], environment: Mapping[str, str]) -> Running:
    """Start `python -m MODULE ...`, given as *arguments*, with this environment, until this process ends."""
    option, module, *others = arguments
    assert option == "-m"
    process = _context().Process(target=_become, args=(module, others, dict(environment)))
    process.start()
    return _Forked(process)


@cache
def _context() -> ForkServerContext:
    context = get_context("forkserver")
    context.set_forkserver_preload([*_IMPORTED])
    return context


def _become(module: str, arguments: Sequence[str], environment: Mapping[str, str]) -> None:
    os.setsid()
    threading.Thread(target=_end_with_parent, daemon=True).start()
    os.environ.clear()
    os.environ.update(environment)
    sys.argv = [module, *arguments]
    runpy.run_module(module, run_name="__main__", alter_sys=True)


def _end_with_parent() -> None:
    if parent := parent_process():
        wait([parent.sentinel])
        os.kill(os.getpid(), signal.SIGTERM)
