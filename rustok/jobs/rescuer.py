"""Takes jobs back from workers that have stopped renewing their lease."""

import math
from collections.abc import Sequence
from typing import Any, Protocol

import structlog

from rustok.db.failures import is_transient
from rustok.kernel.ports import Clock

log = structlog.get_logger(__name__)

_AGAIN_S = 30.0
"""How far each look goes back behind the one before: what is locked is passed over, for as long as statements may take.
"""
_WHOLE_INTERVAL_S = 60.0
"""How often all leases are looked at. Entries of those that ended stay in the index while an old snapshot is kept."""


class LostJobs(Protocol):
    async def rescue(self, within_s: float | None = None) -> Sequence[Any]:
        """Make jobs whose lease ran out ready again, or dead letters, and end those that somebody has cancelled.

        *within_s*: only leases that ran out so many seconds ago at most; what has run out before is not looked at.
        Returns their id, kind and new state.
        """


class Rescuer:
    def __init__(self, store: LostJobs, clock: Clock, interval_s: float = 1.0) -> None:
        self._store = store
        self._clock = clock
        self._interval_s = interval_s
        self._clear_s = self._whole_due_s = -math.inf
        """When a look has last found nothing, and when the next one is to see all leases."""

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
        now_s = self._clock.monotonic_s()
        is_whole = now_s >= self._whole_due_s
        rescued = await self._store.rescue(None if is_whole else now_s - self._clear_s + _AGAIN_S)
        if not rescued:
            self._clear_s = now_s
            self._whole_due_s = now_s + _WHOLE_INTERVAL_S if is_whole else self._whole_due_s
        for job in rescued:
            log.warning("job_rescued", job_id=str(job.id), kind=job.kind, state=job.state)
        return len(rescued)
