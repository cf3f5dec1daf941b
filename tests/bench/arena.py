"""Where a queue under test stands: a database and a Redis of its own, and what its jobs have noted."""

import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import NamedTuple

import redis

from tests.bench.contenders import Contender, ProgramFailed, Programs
from tests.bench.peers.program import MARK
from tests.bench.stage import Shop, Stage, environment, open_shop

_TIMEOUT_S = 60.0
_POLL_S = 0.02


class StartedJobs:
    """What the jobs of a round have noted when they started."""

    def __init__(self, file: Path) -> None:
        file.unlink(missing_ok=True)
        file.touch()
        self._file = file

    def read(self) -> dict[int, int]:
        """Return when each job first started, by number."""
        started: dict[int, int] = {}
        for number, started_ns in MARK.iter_unpack(self._file.read_bytes()):
            started.setdefault(number, started_ns)
        return started

    def wait_for(self, count: int, deadline_s: float | None = None) -> bool:
        """Wait until so many jobs have started; tell whether they have by *deadline_s*.

        Raises:
            TimeoutError: there was no deadline, and they have not.

        """
        give_up_s = deadline_s or time.monotonic() + _TIMEOUT_S
        while self._file.stat().st_size < count * MARK.size:
            if time.monotonic() > give_up_s:
                if deadline_s is None:
                    raise TimeoutError(f"{len(self.read())} of {count} jobs have started after {_TIMEOUT_S:.0f} s")
                return False
            time.sleep(_POLL_S)
        return True


class Arena(NamedTuple):
    programs: Programs
    started: StartedJobs
    shop: Shop


@asynccontextmanager
async def open_arena(stage: Stage, contender: Contender) -> AsyncIterator[Arena]:
    """Give *contender* a database and an empty Redis.

    Raises:
        ProgramFailed: one of its programs ended badly, or does not do its jobs.

    """
    with redis.Redis.from_url(stage.redis_url) as client:
        client.flushall()
    async with open_shop(stage) as shop:
        file = stage.directory / "marks"
        programs = Programs(
            contender,
            {
                **environment(stage, shop),
                "BENCH_DATABASE_URL": shop.database.admin_url,
                "BENCH_REDIS_URL": stage.redis_url,
                "BENCH_TENANT_ID": str(shop.tenant_id),
                "BENCH_MARKS": str(file),
            },
            log=stage.directory / f"{contender.name}.log",
        )
        programs.prepare()
        try:
            yield Arena(programs, StartedJobs(file), shop)
        except TimeoutError as error:
            raise ProgramFailed(f"{error}: {programs.last_words()}") from error
