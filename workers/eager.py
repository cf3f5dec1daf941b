"""Takes up runs of scripts at once that this worker's own consumers have made, while it has nothing better to do.

Without it a run waits for the feeder to wake, to look and to send a message. It is the same fair look at what is
ready, and the same lease: what somebody else takes meanwhile is simply not granted.
"""

import asyncio

import structlog

from rustok.db.failures import describe, is_transient
from rustok.jobs.runner import JobRunner
from rustok.jobs.store import PostgresJobStore
from workers.script_runs import ScriptRuns

log = structlog.get_logger(__name__)


class EagerRuns:
    def __init__(self, queue: str, runs: ScriptRuns, store: PostgresJobStore, runner: JobRunner) -> None:
        self._queue = queue
        self._runs = runs
        self._store = store
        self._runner = runner
        self._tasks: set[asyncio.Task[None]] = set()
        self._is_closed = False

    def jobs_made(self) -> None:
        """Look for runs, unless enough are under way; never blocks, never fails. To be called on the event loop."""
        if self._runs.free and not self._tasks and not self._is_closed:
            task = asyncio.create_task(self._take())
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)

    async def close(self) -> None:
        """Look no more. To be called when the runner has stopped: a lease granted meanwhile would be lost."""
        self._is_closed = True
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    async def _take(self) -> None:
        try:
            while free := self._runs.free:
                ids = await self._store.ready(self._queue, (), free)
                if not ids or not await self._runner.work(ids):
                    return
        except Exception as error:
            if not is_transient(error):
                raise
            log.info("eager_runs_left", reason=describe(error))  # the feeder comes to them
