"""The command line as a user runs it: a process of its own with settings in its environment."""

import asyncio
import os
import sys
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from pathlib import Path

import pytest

from rustok.testing import Database
from rustok.testing.platform import SECRET


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
    """Runs `rustok` with arguments; keywords change its environment."""

    async def run(*arguments: str, **changes: str) -> Finished:
        process = await asyncio.create_subprocess_exec(
            str(Path(sys.executable).with_name("rustok")),
            *arguments,
            env={**environment, **changes},
            stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
        )
        out, err = await process.communicate()
        assert process.returncode is not None
        return Finished(process.returncode, out.decode(), err.decode())

    return run
