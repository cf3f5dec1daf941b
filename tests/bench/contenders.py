"""Queues that do the same no-op jobs, each as a set of programs: how it is prepared, enqueued with, and worked."""

import importlib.metadata
import json
import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from rustok.embedded import dies_with_us
from tests.bench.peers.program import CONCURRENCY, Times

Command = Sequence[str]

_LAST_WORDS = 500
"""Characters of a log that are told."""

_ROOT = Path(__file__).parents[2]
_NODE = _ROOT / "tests/bench/peers/node"
_BIN = Path(sys.executable).parent


def _python(name: str, *arguments: str) -> Command:
    return [sys.executable, "-m", f"tests.bench.peers.{name}", *arguments]


def _script(name: str, *arguments: str) -> Command:
    return [str(_BIN / name), *arguments]


def _node(*arguments: str) -> Command:
    return [shutil.which("node") or "node", str(_NODE / "queue.mjs"), *arguments]


@dataclass(frozen=True, slots=True)
class Contender:
    """One queue.

    `packages`: whose versions are told. `fills`: it has a way to enqueue many jobs together. `backlog`: more jobs than
    it does in a round.
    """

    name: str
    packages: Sequence[str]
    program: Command
    workers: Sequence[Command]
    prepare: Command | None = None
    fills: bool = False
    backlog: int = 12_000
    is_node: bool = False


OURS = Contender(
    "ours",
    [],
    _python("rustok"),
    [_python("rustok", "work"), [sys.executable, "-m", "workers.relay"]],
    fills=True,
)
# As a module: its script does not find the app, which is not installed.
_PROCRASTINATE = [sys.executable, "-m", "procrastinate", "--app=tests.bench.peers.procrastinate.app"]
PEERS = (
    Contender(
        "awa",
        ["awa-pg"],
        _python("awa"),
        [_python("awa", "work")],
        prepare=_python("awa", "prepare"),
        fills=True,
    ),
    Contender(
        "awa, tuned",
        ["awa-pg"],
        _python("awa"),
        [_python("awa", "work", "tuned")],
        prepare=_python("awa", "prepare"),
        fills=True,
    ),
    Contender(
        "procrastinate",
        ["procrastinate", "psycopg"],
        _python("procrastinate"),
        [[*_PROCRASTINATE, "worker", f"--concurrency={CONCURRENCY}"]],
        prepare=[*_PROCRASTINATE, "schema", "--apply"],
        fills=True,
    ),
    Contender(
        "graphile-worker",
        ["graphile-worker"],
        _node("graphile-worker"),
        [_node("graphile-worker", "work")],
        prepare=_node("graphile-worker", "prepare"),
        fills=True,
        is_node=True,
    ),
    Contender(
        "graphile-worker, batches",
        ["graphile-worker"],
        _node("graphile-worker"),
        [_node("graphile-worker", "work", "batches")],
        prepare=_node("graphile-worker", "prepare"),
        fills=True,
        is_node=True,
    ),
    Contender(
        "dramatiq",
        ["dramatiq"],
        _python("dramatiq"),
        [_script("dramatiq", "tests.bench.peers.dramatiq", "--processes=1", f"--threads={CONCURRENCY}")],
    ),
    Contender(
        "taskiq",
        ["taskiq", "taskiq-redis"],
        _python("taskiq"),
        [_script("taskiq", "worker", "tests.bench.peers.taskiq:broker", "--workers=1")],
    ),
    Contender(
        "celery",
        ["celery", "kombu"],
        _python("celery"),
        [_script("celery", "--app=tests.bench.peers.celery", "worker", f"--concurrency={CONCURRENCY}")],
        backlog=4_000,
    ),
    Contender("bullmq", ["bullmq"], _node("bullmq"), [_node("bullmq", "work")], fills=True, is_node=True),
)


class Missing(Exception):
    """A contender cannot take part here; the text says why."""


class ProgramFailed(Exception):
    """A program of a contender ended badly; the text ends as its log does."""


def version(contender: Contender) -> str:
    """Return the name of *contender* and the versions of its packages. Raises Missing."""
    try:
        versions = [f"{package} {_version(package, contender)}" for package in contender.packages]
    except importlib.metadata.PackageNotFoundError as error:
        raise Missing(f"{contender.name}: the package {error.name} is not installed") from None
    return ", ".join(versions)


def _version(package: str, contender: Contender) -> str:
    if not contender.is_node:
        return importlib.metadata.version(package)
    if shutil.which("node") is None or shutil.which("npm") is None:
        raise Missing(f"{contender.name}: there is no node and npm on PATH")
    described = _NODE / "node_modules" / package / "package.json"
    if not described.exists():
        install = subprocess.run(
            ["npm", "ci", "--no-audit", "--no-fund", "--ignore-scripts"],  # noqa: S607
            cwd=_NODE,
            capture_output=True,
            text=True,
            check=False,
        )
        if install.returncode:
            raise Missing(f"{contender.name}: npm ci failed: {install.stderr.strip().splitlines()[-1]}")
    return str(json.loads(described.read_text())["version"])


@dataclass(frozen=True, slots=True)
class Programs:
    """The programs of one contender, on the servers and with the file of marks that *environment* names."""

    contender: Contender
    environment: Mapping[str, str]
    log: Path

    def prepare(self) -> None:
        if self.contender.prepare is not None:
            self._answer(self.contender.prepare)

    def enqueue(self, first: int, count: int, a_second: float = 0.0) -> Times:
        """Enqueue one after the other, at a rate, or as fast as calls return."""
        return self._times("enqueue", first, count, a_second)

    def fill(self, first: int, count: int, a_second: float = 0.0) -> Times:
        """Enqueue, many at a time where the contender has a way to."""
        return self._times("fill" if self.contender.fills else "enqueue", first, count, a_second)

    @contextmanager
    def working(self) -> Iterator[None]:
        """Run the workers inside."""
        running: list[subprocess.Popen[bytes]] = []
        try:
            running += [self._start(command) for command in self.contender.workers]
            yield
        finally:
            for process in running:
                process.terminate()
            for process in running:
                _end(process)

    def _times(self, role: str, first: int, count: int, a_second: float) -> Times:
        answer = self._answer([*self.contender.program, role, str(first), str(count), str(a_second)])
        return Times(**json.loads(answer.splitlines()[-1]))

    def _answer(self, command: Command) -> str:
        with self.log.open("ab") as log:
            done = subprocess.run(  # noqa: S603 - our own programs
                command, env=self.environment, cwd=_ROOT, check=False, stdout=subprocess.PIPE, stderr=log, text=True
            )
        if done.returncode:
            raise ProgramFailed(f"{' '.join(command)} ended with {done.returncode}: {self.last_words()}")
        return done.stdout

    def last_words(self) -> str:
        """Return the end of what the programs have written."""
        return self.log.read_text(errors="replace")[-_LAST_WORDS:].strip()

    def _start(self, command: Command) -> "subprocess.Popen[bytes]":
        with self.log.open("ab") as log:
            return subprocess.Popen(  # noqa: S603 - our own programs
                dies_with_us(command, signal.SIGTERM),
                env=self.environment,
                cwd=_ROOT,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )


def _end(process: "subprocess.Popen[bytes]") -> None:
    """Wait for a process that was told to stop, and end it with its children if it does not."""
    try:
        process.wait(10)
    except subprocess.TimeoutExpired:
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()
