"""The command line as a user runs it: in a process of its own, with settings in its environment."""

import asyncio
import json
import os
import sys
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass
from pathlib import Path

import pytest

from rustok.sandbox.cage import Cage, CageConfig
from rustok.testing import Database
from rustok.testing.platform import SECRET
from tests.integration.alloy.workshop import Workshop, open_workshop
from tests.integration.cli import forked
from tests.integration.cli.forked import Call


@dataclass(frozen=True, slots=True)
class Finished:
    code: int
    out: str
    err: str


Cli = Callable[..., Awaitable[Finished]]


@pytest.fixture
def desk(tmp_path: Path) -> dict[str, str]:
    """The environment of somebody who has no server."""
    return {"PATH": os.environ["PATH"], "COLUMNS": "300", "RUSTOK_STATE_DIR": str(tmp_path)}


@pytest.fixture
def environment(desk: dict[str, str], database: Database, redis_url: str) -> dict[str, str]:
    return {
        **desk,
        "RUSTOK_DATABASE_URL": database.app_url,
        "RUSTOK_SYSTEM_DATABASE_URL": database.system_url,
        "RUSTOK_OWNER_DATABASE_URL": database.owner_url,
        "RUSTOK_ADMIN_DATABASE_URL": database.admin_url,
        "RUSTOK_REDIS_URL": redis_url,
        "RUSTOK_SECRET": SECRET,
    }


@pytest.fixture
def program(environment: dict[str, str]) -> Cli:
    """Runs `rustok` as `cli` does, but started from nothing, as a shell does it: what it costs is its imports."""

    async def run(*arguments: str, stdin: str = "", cwd: Path | None = None, **changes: str) -> Finished:
        process = await asyncio.create_subprocess_exec(
            str(Path(sys.executable).with_name("rustok")),
            *arguments,
            env={**environment, **changes},
            cwd=cwd,
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
        )
        out, err = await process.communicate(stdin.encode())
        assert process.returncode is not None
        return Finished(process.returncode, out.decode(), err.decode())

    return run


@pytest.fixture
def cli(environment: dict[str, str], forks: "_Forks") -> Cli:
    """Runs `rustok` with arguments, *stdin* and a working directory; other keywords change its environment."""
    return forks.command(environment)


@pytest.fixture
def offline(desk: dict[str, str], forks: "_Forks") -> Cli:
    """Runs `rustok` as `cli` does, but where no server is; a database for nobody would take half a second."""
    return forks.command(desk)


@pytest.fixture(scope="session")
async def forks(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator["_Forks"]:
    """The process that the commands are forks of."""
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", forked.__name__),
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,  # no terminal either
    )
    yield _Forks(process, tmp_path_factory)
    process.kill()
    await process.communicate()


class _Forks:
    """Runs one command after the other."""

    def __init__(self, process: asyncio.subprocess.Process, places: pytest.TempPathFactory) -> None:
        self._process = process
        self._places = places
        self._turn = asyncio.Lock()

    def command(self, environment: dict[str, str]) -> Cli:
        """Return what runs `rustok` in *environment*."""

        async def run(*arguments: str, stdin: str = "", cwd: Path | None = None, **changes: str) -> Finished:
            place = self._places.mktemp("call")
            streams = [place / name for name in ("in", "out", "err")]
            for file, content in zip(streams, (stdin, "", ""), strict=True):
                file.write_text(content, encoding="utf-8")
            call: Call = {
                "arguments": list(arguments),
                "environment": {**environment, **changes},
                "directory": str(cwd or Path.cwd()),
                "streams": [str(file) for file in streams],
            }
            code = await self._run(call)
            return Finished(code, *(file.read_text(encoding="utf-8") for file in streams[1:]))

        return run

    async def _run(self, call: Call) -> int:
        stdin, stdout = self._process.stdin, self._process.stdout
        assert stdin is not None
        assert stdout is not None
        async with self._turn:
            stdin.write(json.dumps(call).encode() + b"\n")
            answer = await stdout.readline()
            assert answer, "the process that the commands are forks of has ended"
            return int(answer)


@pytest.fixture(scope="module")
async def cage() -> AsyncIterator[Cage]:
    async with Cage(CageConfig(children=1)) as cage:
        yield cage


@pytest.fixture
async def workshop(database: Database, cage: Cage) -> AsyncIterator[Workshop]:
    """One tenant, and a worker that is moved by hand."""
    async with open_workshop(database, cage) as workshop:
        yield workshop


async def served(workshop: Workshop, command: Awaitable[Finished]) -> Finished:
    """Do what is asked of relay and workers until *command* has ended."""
    running = asyncio.ensure_future(command)
    while not running.done():
        await workshop.settle()
        await asyncio.wait([running], timeout=0.05)
    return await running
