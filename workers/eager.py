"""Takes up runs of scripts at once that this worker's own consumers have made, while it has nothing better to do.

Without it a run waits for the feeder to wake, to look and to send a message. It is the same fair look at what is
ready, and the same lease.
"""

import asyncio
from collections.abc import Callable

import structlog

from rustok.db.failures import describe, is_transient
from rustok.jobs.runner import JobRunner
from workers.script_runs import ScriptRuns

log = structlog.get_logger(__name__)

_QUIET_S = 0.02
"""How long the feeder is not disturbed, and does not disturb, where this worker has taken all the runs there were."""


class EagerRuns:
    """*on_leased* is called after it has leased what it could, at once if some is left: that is for the feeder.

    While it *is_quiet*, it takes nothing.
    """

    def __init__(
        self,
        queue: str,
        runs: ScriptRuns,
        runner: JobRunner,
        on_leased: Callable[[], None],
        is_quiet: Callable[[], bool] = lambda: False,
    ) -> None:
        self._queue = queue
        self._runs = runs
        self._runner = runner
        self._on_leased = on_leased
        self._is_quiet = is_quiet
        self._tasks: set[asyncio.Task[None]] = set()
        self._is_closed = False

    def jobs_made(self) -> bool:
        """Look for runs, unless enough are under way; tell whether it does. To be called on the event loop."""
        if not self._runs.free or self._tasks or self._is_closed or self._is_quiet():
            return False
        task = asyncio.create_task(self._take())
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return True

    async def close(self) -> None:
        """Look no more. To be called when the runner has stopped: a lease granted meanwhile would be lost."""
        self._is_closed = True
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    async def _take(self) -> None:
        is_told = False

        def tell(leased: int) -> None:
            nonlocal is_told
            is_told = True
            has_left_some = leased == free
            asyncio.get_running_loop().call_later(0 if has_left_some else _QUIET_S, self._on_leased)

        try:
            while (free := self._runs.free) and not self._is_quiet():
                if not await self._runner.work_on_ready(self._queue, free, tell):
                    return
        except Exception as error:
            if not is_transient(error):
                raise
            log.info("eager_runs_left", reason=describe(error))
        finally:
            if not is_told:
                self._on_leased()
