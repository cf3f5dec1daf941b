"""One skeleton for every embedded server: lock its state, start it, wait until it answers, stop it."""

import contextlib
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from abc import ABC, abstractmethod
from collections.abc import Sequence
from pathlib import Path
from types import TracebackType
from typing import ClassVar, Self

from rustok.embedded.errors import NotMainThread, ServerStartFailed, StateUnusable
from rustok.embedded.state import Account, StateLock, create_state_dir

HOST = "127.0.0.1"
START_TIMEOUT = 60.0  # seconds until a server must answer; crash recovery of a laptop's data takes a few
STOP_TIMEOUT = 30.0  # seconds a server gets to stop cleanly before it is stopped at once
POLL = 0.02  # seconds
ATTEMPTS = 20
# Someone took the port after we chose it, or children of a killed postmaster are still on their way out.
TRANSIENT = ("Address already in use", "is still in use")


class Server(ABC):
    """A server on 127.0.0.1 that lives for one ``with`` block and, on Linux, never longer than this process.

    Start it from the main thread. Port and data stay the same over ``stop_immediately()`` and ``start()``.
    """

    name: ClassVar[str]
    stop_signal: ClassVar[signal.Signals]
    crash_signal: ClassVar[signal.Signals]  # stops at once, as in a crash; also sent when the launcher dies

    def __init__(self, state_dir: Path, account: Account | None) -> None:
        self._state_dir = state_dir.resolve()
        self._home = self._state_dir / self.name
        self._data = self._home / "data"
        self._log = self._state_dir / f"{self.name}.log"
        self._account = account
        self._lock: StateLock | None = None
        self._process: subprocess.Popen[bytes] | None = None
        self._port = 0

    @property
    def port(self) -> int:
        return self._port

    @property
    def pid(self) -> int:
        """Of the running server, or of the last one."""
        return self._process.pid if self._process else 0

    @property
    def running(self) -> bool:
        return self._process is not None and self._process.poll() is None

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    def start(self) -> None:
        """Return when the server answers; a second call while it runs does nothing.

        Raises:
            StateInUse: another launcher holds the state directory.
            StateUnusable: it cannot be created, reached or written.
            ServerStartFailed: with the tail of the server's log.
            NotMainThread: the kernel ties a server's life to the thread that started it.

        """
        if self.running:
            return
        if threading.current_thread() is not threading.main_thread():
            raise NotMainThread(f"start {self.name} from the main thread: it would die with any other")
        try:
            self._claim_state()
            self._prepare()
            self._launch()
        except BaseException as error:
            self.stop_immediately()
            self._release_state()
            if isinstance(error, OSError):
                raise StateUnusable(
                    f"{self.name} cannot use {self._state_dir} ({error}): choose another state directory"
                ) from error
            raise

    def stop(self) -> None:
        """Stop cleanly, or at once when that takes too long, and let go of the state directory."""
        self._end(self.stop_signal)
        self._release_state()

    def stop_immediately(self) -> None:
        """Stop as in a crash; ``start()`` recovers. The state directory stays ours meanwhile."""
        self._end(self.crash_signal)

    def kill(self) -> None:
        """SIGKILL, as the out-of-memory killer would; otherwise as ``stop_immediately()``."""
        self._end(signal.SIGKILL)

    @abstractmethod
    def _prepare(self) -> None:
        """Make the data directory ready for the command."""

    @abstractmethod
    def _command(self, port: int) -> list[str]: ...

    @abstractmethod
    def _is_ready(self, port: int) -> bool:
        """Whether the process we started, and no other, serves *port*."""

    def _claim_state(self) -> None:
        if self._lock is not None:
            return
        create_state_dir(self._state_dir, self._account)
        self._lock = StateLock(self._state_dir / f"{self.name}.lock")
        if self._lock.leftover:
            evict(self._lock.leftover, self._data, self.crash_signal)
        if self._log.exists():
            self._log.replace(self._log.with_suffix(".log.1"))
        self._log.touch(mode=0o600)

    def _release_state(self) -> None:
        if self._lock is not None:
            self._lock.release()
            self._lock = None

    def _launch(self) -> None:
        for attempt in range(1, ATTEMPTS + 1):
            port = self._port or free_port()
            try:
                self._run(self._command(port), port)
            except ServerStartFailed as error:
                if attempt == ATTEMPTS or not any(reason in str(error) for reason in TRANSIENT):
                    raise
                time.sleep(POLL * attempt)
            else:
                self._port = port
                return

    def _run(self, command: Sequence[str], port: int) -> None:
        start_of_output = self._log.stat().st_size
        process = self._spawn(command, self._data)
        deadline = time.monotonic() + START_TIMEOUT
        while not self._is_ready(port):
            # Waiting on the process is a sleep that ends early when it dies.
            with contextlib.suppress(subprocess.TimeoutExpired):
                process.wait(POLL)
                raise self._start_failed(f"exited with status {process.returncode}", start_of_output)
            if time.monotonic() > deadline:
                raise self._start_failed(f"did not answer within {START_TIMEOUT:.0f} s", start_of_output)

    def _spawn(self, command: Sequence[str], directory: Path) -> subprocess.Popen[bytes]:
        """Start *command* in a session of its own, so that Ctrl-C in our terminal does not reach it."""
        # PGDATA, PGDATESTYLE and the like would leak into the cluster; English messages are matched above.
        environ = {key: value for key, value in os.environ.items() if not key.startswith("PG")}
        with self._log.open("ab") as output:
            self._process = subprocess.Popen(  # noqa: S603 - the command is built here, no shell
                dies_with_us(command, self.crash_signal, self._account),
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                cwd=directory,
                env=environ | {"LC_ALL": "C", "TZ": "UTC"},
                start_new_session=True,
            )
        if self._lock:
            self._lock.record(self._process.pid)
        return self._process

    def _start_failed(self, what: str, start_of_output: int = 0) -> ServerStartFailed:
        with self._log.open("rb") as log:
            log.seek(start_of_output)
            tail = log.read().decode(errors="replace").splitlines()[-20:]
        return ServerStartFailed("\n".join([f"{self.name} {what}; the end of {self._log}:", *tail]))

    def _end(self, first: signal.Signals) -> None:
        for signum in (first, self.crash_signal, signal.SIGKILL):
            if self._process is None or self._process.poll() is not None:
                return
            # macOS answers EPERM for one that died since poll().
            with contextlib.suppress(ProcessLookupError, PermissionError):
                os.killpg(self._process.pid, signum)
            with contextlib.suppress(subprocess.TimeoutExpired):
                self._process.wait(STOP_TIMEOUT)


def dies_with_us(command: Sequence[str], death_signal: signal.Signals, account: Account | None = None) -> list[str]:
    """Return the command line that runs *command* so that it gets *death_signal* when this process dies.

    The kernel ties its life to the calling thread: start it from the main one. Linux only; elsewhere it
    outlives us.
    """
    who = f"{account.uid}:{account.gid}" if account else "-"
    stage = Path(__file__).with_name("stage.py")
    return [sys.executable, "-I", "-S", str(stage), str(os.getpid()), str(int(death_signal)), who, *command]


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind((HOST, 0))
        return int(probe.getsockname()[1])


def evict(pid: int, directory: Path, signum: signal.Signals) -> None:
    """Stop a server whose launcher was killed; a stranger with a recycled *pid* is left alone."""
    for attempt in (signum, signal.SIGKILL):
        deadline = time.monotonic() + STOP_TIMEOUT / 3
        if works_in(pid, directory):
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, attempt)
        while works_in(pid, directory):
            if time.monotonic() > deadline:
                break
            time.sleep(POLL)
        else:
            return


def works_in(pid: int, directory: Path) -> bool:
    """Whether *pid* is a live server on *directory*; zombies and other users' processes are not."""
    if Path("/proc/self/cwd").exists():
        try:
            return Path(f"/proc/{pid}/cwd").readlink() == directory
        except OSError:
            return False
    command = ["/bin/ps", "-ww", "-o", "command=", "-p", str(pid)]
    return str(directory) in subprocess.run(command, capture_output=True, text=True, check=False).stdout  # noqa: S603
