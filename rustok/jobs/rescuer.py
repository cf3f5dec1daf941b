"""Takes jobs back from workers that have stopped renewing their lease."""

from collections.abc import Sequence
from typing import Any, Protocol

import structlog

from rustok.db.failures import is_transient
from rustok.kernel.ports import Clock

log = structlog.get_logger(__name__)


class LostJobs(Protocol):
    async def rescue(self) -> Sequence[Any]:
        """Make jobs whose lease ran out ready again, or dead letters, and end those that somebody has cancelled.

        Returns their id, kind and new state.
        """


class Rescuer:
    def __init__(self, store: LostJobs, clock: Clock, interval_s: float = 1.0) -> None:
        self._store = store
        self._clock = clock
        self._interval_s = interval_s

    async def run(self) -> None:
        """Rescue until cancelled. A failing server is waited for."""
        while True:
            try:
                await self.run_once()
            except Exception as error:
                if not is_transient(error):
                    raise
                log.warning("rescuer_waited", reason=str(error))
            await self._clock.sleep(self._interval_s)

    async def run_once(self) -> int:
        """Rescue what is lost now and return how many jobs that were."""
        rescued = await self._store.rescue()
        for job in rescued:
            log.warning("job_rescued", job_id=str(job.id), kind=job.kind, state=job.state)
        return len(rescued)
