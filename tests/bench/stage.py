"""Where benchmarks run: real servers that keep what they commit, throw-away databases, real processes."""

import asyncio
import os
import signal
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import ExitStack, asynccontextmanager, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Self
from uuid import UUID

import asyncpg

from rustok.catalog import MODULES
from rustok.cli.api import api_arguments
from rustok.embedded import (
    dies_with_us,
    embedded_postgres,
    embedded_redis,
    find_postgres,
    temporary_state_dir,
)
from rustok.testing import Database, DatabaseServer, PlatformUnderTest
from rustok.testing.platform import SECRET

_SERVER_SETTINGS: dict[str, str | int] = {
    "synchronous_commit": "on",
    "fsync": "on",
    "full_page_writes": "on",
    "max_wal_size": "4GB",  # no checkpoint forced in mid-round, on either side
    "shared_buffers": "512MB",
    "track_commit_timestamp": "on",  # tells when a row became visible, without looking on
}
_READY_TIMEOUT_S = 30.0
ROOT = Path(__file__).parents[2]
_RUSTOK = "from rustok.cli import main; main()"


@dataclass(frozen=True, slots=True)
class Stage:
    """The servers of one run. `quick` asks for rounds so short that their figures are only a check.

    `catalogue` is a file of package records to import; without one, benchmarks repeat the project's sample.
    `pinned_minutes`: how long an old snapshot is kept. `overload_requests`: after how many memory is looked at.
    `since`: the commit to compare with.
    """

    server: DatabaseServer
    redis_url: str
    directory: Path
    quick: bool
    catalogue: Path | None
    pinned_minutes: float
    overload_requests: int
    since: str | None = None

    @property
    def pgbench(self) -> Path:
        return find_postgres() / "pgbench"

    def seconds(self, full: float) -> float:
        """Return the length of a round that takes *full* seconds in a full run."""
        return full / 4 if self.quick else full

    def rounds(self, full: int) -> int:
        return 1 if self.quick else full


@dataclass(frozen=True, slots=True)
class Shop:
    """A tenant on a database of its own, with an owner's API key."""

    database: Database
    tenant_id: UUID
    token: str


@contextmanager
def open_stage(
    *, quick: bool, catalogue: Path | None, pinned_minutes: float, overload_requests: int, since: str | None = None
) -> Iterator[Stage]:
    """Start PostgreSQL, which flushes every commit to disk, and Valkey; stop and delete both on leaving."""
    with ExitStack() as stack:
        directory = stack.enter_context(temporary_state_dir())
        postgres = stack.enter_context(embedded_postgres(directory, settings=_SERVER_SETTINGS))
        redis = stack.enter_context(embedded_redis(directory))
        server = DatabaseServer(postgres.admin_url)
        asyncio.run(server.create_template())
        yield Stage(server, redis.url, directory, quick, catalogue, pinned_minutes, overload_requests, since)


@asynccontextmanager
async def open_shop(stage: Stage) -> AsyncIterator[Shop]:
    """Create a database with one tenant; drop it on leaving."""
    async with stage.server.throw_away() as database:
        async with PlatformUnderTest.open(MODULES, database) as platform:
            tenant_id = await platform.create_tenant("bench")
            key = await platform.run("access.api_keys.create", tenant_id, name="bench", role="owner")
        yield Shop(database, tenant_id, key.token)


async def analyze(shop: Shop) -> None:
    """Collect statistics, as autovacuum has on any database that is older than a minute."""
    admin = await asyncpg.connect(shop.database.admin_url)
    try:
        await admin.execute("ANALYZE")
    finally:
        await admin.close()


def environment(stage: Stage, shop: Shop) -> dict[str, str]:
    """Return the environment of the platform's processes on one shop's database."""
    return {
        **os.environ,
        "RUSTOK_ENVIRONMENT": "live",
        "RUSTOK_DATABASE_URL": shop.database.app_url,
        "RUSTOK_SYSTEM_DATABASE_URL": shop.database.system_url,
        "RUSTOK_REDIS_URL": stage.redis_url,
        "RUSTOK_SECRET": SECRET,
        "RUSTOK_LOG_LEVEL": "INFO",
        "RUSTOK_ADMISSION_SOFT_AGE_S": "inf",  # a write that is refused is no write to measure
        "RUSTOK_ADMISSION_HARD_AGE_S": "inf",
        "RUSTOK_REQUEST_QUOTA": "999999/s",
    }


class Processes:
    """The platform's processes on one shop's database, of the code below *root*. Use as a context manager."""

    def __init__(self, stage: Stage, shop: Shop, root: Path = ROOT) -> None:
        self._root = root
        self._log = stage.directory / f"{shop.database.name}.log"
        self._environment = environment(stage, shop)
        self._running: list[subprocess.Popen[bytes]] = []

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_error: object) -> None:
        for process in self._running:
            process.terminate()
        for process in self._running:
            process.wait(15)

    def start_api(self, port: int, application: str | None = None, **environment: str) -> int:
        """Start the API, or another *application* with the arguments of `rustok api`; return its pid."""
        if application is None:  # of whichever commit the code is
            pid = self.start("-c", _RUSTOK, "api", "--host", "127.0.0.1", "--port", str(port), **environment)
        else:
            arguments = api_arguments("127.0.0.1", port)
            arguments[arguments.index("api.app:create_app")] = application
            pid = self.start("-m", "uvicorn", *arguments, **environment)
        self._wait_until_ready(port)
        return pid

    def start_relay_and_worker(self) -> list[int]:
        """Start one relay and one worker; return their pids."""
        return [self.start("-m", "workers.relay"), self.start("-m", "workers.main")]

    def start(self, *arguments: str, **environment: str) -> int:
        """Start `python <arguments>` and return its pid; its output goes to a file beside the database."""
        with self._log.open("ab") as log:
            process = subprocess.Popen(  # noqa: S603 - our own programs
                dies_with_us([sys.executable, *arguments], signal.SIGTERM),
                env=self._environment | environment,
                cwd=self._root,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )
        self._running.append(process)
        return process.pid

    def run(self, arguments: Sequence[str]) -> None:
        """Run `python <arguments>` to its end; its output goes where that of the others goes."""
        with self._log.open("ab") as log:
            subprocess.run(  # noqa: S603 - our own programs
                [sys.executable, *arguments], env=self._environment, cwd=self._root, check=True, stdout=log, stderr=log
            )

    def _wait_until_ready(self, port: int) -> None:
        deadline_s = time.monotonic() + _READY_TIMEOUT_S
        while True:
            try:
                urllib.request.urlopen(f"http://127.0.0.1:{port}/health/ready", timeout=2).close()
            except urllib.error.HTTPError:
                return
            except OSError:
                if time.monotonic() > deadline_s:
                    raise TimeoutError(f"nothing answers on port {port}:\n{self._log.read_text()[-2000:]}") from None
                time.sleep(0.05)
            else:
                return
