"""The command line as a user runs it: a process of its own with settings in its environment."""

import asyncio
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


@dataclass(frozen=True, slots=True)
class Finished:
    code: int
    out: str
    err: str


Cli = Callable[..., Awaitable[Finished]]


@pytest.fixture
def environment(database: Database, redis_url: str, tmp_path: Path) -> dict[str, str]:
    return {
        "PATH": os.environ["PATH"],
        "COLUMNS": "300",
        "RUSTOK_DATABASE_URL": database.app_url,
        "RUSTOK_SYSTEM_DATABASE_URL": database.system_url,
        "RUSTOK_OWNER_DATABASE_URL": database.owner_url,
        "RUSTOK_ADMIN_DATABASE_URL": database.admin_url,
        "RUSTOK_REDIS_URL": redis_url,
        "RUSTOK_SECRET": SECRET,
        "RUSTOK_STATE_DIR": str(tmp_path),
    }


@pytest.fixture
def cli(environment: dict[str, str]) -> Cli:
    """Runs `rustok` with arguments, *stdin* and a working directory; other keywords change its environment."""

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
