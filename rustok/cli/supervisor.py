"""Keeps processes running: replaces what dies, stops all of them together, leaves no orphan."""

import contextlib
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from types import FrameType
from typing import Protocol

from rustok.cli.output import err
from rustok.embedded import dies_with_us

STOP_TIMEOUT_S = 10.0
"""Seconds a process gets between SIGTERM and SIGKILL."""

_RESTART_PAUSES_S = (0.0, 0.5, 1.0, 2.0, 5.0)
_STABLE_AFTER_S = 10.0
_POLL_S = 0.1


class Running(Protocol):
    """A process, as `subprocess.Popen` has it."""

    @property
    def pid(self) -> int: ...

    def poll(self) -> int | None:
        """Return its status, None while it runs."""

    def wait(self, timeout: float | None = None) -> int:
        """Return its status when it has ended. Raises TimeoutExpired."""

    def terminate(self) -> None: ...

    def kill(self) -> None: ...


Spawn = Callable[[Sequence[str], Mapping[str, str]], Running]
"""Start `python` with these arguments and this environment, so that it dies with us."""


@dataclass(slots=True)
class _Child:
    name: str
    arguments: Sequence[str]
    environment: Mapping[str, str]
    process: Running
    started_s: float
    early_deaths: int = 0
    restart_at_s: float | None = None


@dataclass(frozen=True, slots=True)
class ProcessSpec:
    """A Python module that is run as a process of its own, from the directory of the roots."""

    name: str
    arguments: Sequence[str]
    environment: Mapping[str, str] = field(default_factory=dict)


class Supervisor:
    """Starts processes and watches them from the main thread, to whose life the kernel ties theirs.

    *restart_pauses_s*: how long what dies young again and again waits before it is started anew.
    """

    def __init__(
        self,
        environment: Mapping[str, str],
        spawn: Spawn | None = None,
        restart_pauses_s: Sequence[float] = _RESTART_PAUSES_S,
    ) -> None:
        self._environment = dict(environment)
        self._spawn = spawn or spawn_python
        self._restart_pauses_s = restart_pauses_s
        self._children: list[_Child] = []
        self._stopping = threading.Event()

    def start(self, spec: ProcessSpec) -> None:
        """Start `python <arguments>`."""
        environment = {**self._environment, **spec.environment}
        process = self._spawn(spec.arguments, environment)
        self._children.append(_Child(spec.name, spec.arguments, environment, process, time.monotonic()))

    def run(self) -> None:
        """Replace processes that die, until SIGTERM or SIGINT; then stop all of them."""
        for signum in (signal.SIGTERM, signal.SIGINT):
            signal.signal(signum, self._request_stop)
        while not self._stopping.wait(_POLL_S):
            self.replace_ended()
        self.stop()

    def replace_ended(self) -> None:
        """Start anew what has ended: at once the first time, then after growing pauses."""
        for child in self._children:
            self._look_after(child)

    @property
    def pids(self) -> dict[str, int]:
        """The running processes by name."""
        return {child.name: child.process.pid for child in self._children if child.process.poll() is None}

    def ended(self) -> list[str]:
        """Return the names of the processes that have ended; nothing replaces them before `run`."""
        return [child.name for child in self._children if child.process.poll() is not None]

    def stop(self) -> None:
        """Ask every process to stop, wait for all of them, kill those that take too long."""
        for child in self._children:
            with contextlib.suppress(ProcessLookupError):
                child.process.terminate()
        deadline_s = time.monotonic() + STOP_TIMEOUT_S
        for child in self._children:
            try:
                child.process.wait(max(0.0, deadline_s - time.monotonic()))
            except subprocess.TimeoutExpired:
                err.print(f"{child.name} did not stop within {STOP_TIMEOUT_S:.0f} s and was killed")
                child.process.kill()
                child.process.wait()
        self._children.clear()

    def _request_stop(self, _signum: int, _frame: FrameType | None) -> None:
        self._stopping.set()

    def _look_after(self, child: _Child) -> None:
        now_s = time.monotonic()
        if child.restart_at_s is not None:
            if now_s >= child.restart_at_s:
                child.process = self._spawn(child.arguments, child.environment)
                child.started_s, child.restart_at_s = now_s, None
            return
        status = child.process.poll()
        if status is None:
            return
        if now_s - child.started_s > _STABLE_AFTER_S:
            child.early_deaths = 0
        pause_s = self._restart_pauses_s[min(child.early_deaths, len(self._restart_pauses_s) - 1)]
        child.early_deaths += 1
        err.print(f"{child.name} (pid {child.process.pid}) ended with {status}; started again in {pause_s:.1f} s")
        child.restart_at_s = now_s + pause_s


def spawn_python(arguments: Sequence[str], environment: Mapping[str, str]) -> Running:
    """Start an interpreter, in the directory of the roots."""
    # A session of its own: Ctrl-C in our terminal reaches only us, and we stop the others in order.
    return subprocess.Popen(  # noqa: S603 - the command is ours, no shell
        dies_with_us([sys.executable, *arguments], signal.SIGTERM),
        env=environment,
        cwd=roots_directory(),
        stdin=subprocess.DEVNULL,
        start_new_session=True,
    )


def roots_directory() -> Path:
    """Return where `api` and `workers` are: the checkout, or the working directory of an image."""
    checkout = Path(__file__).parents[2]
    return checkout if (checkout / "workers").is_dir() else Path.cwd()


def run_root(module: str, *arguments: str) -> None:
    """Become `python -m module`, in the directory of the roots."""
    os.chdir(roots_directory())
    os.execv(sys.executable, [sys.executable, "-m", module, *arguments])  # noqa: S606 - no shell is the point
