"""Takes up what workers of another release have parked as unknown, and this one knows, after a roll-out above all."""

from collections.abc import Awaitable, Callable, Collection, Mapping

import structlog
from sqlalchemy.ext.asyncio import AsyncEngine

from rustok.db.failures import describe, is_transient
from rustok.events.consumer import Consumer
from rustok.events.newer_events import give_back_aggregates, take_up_aggregates
from rustok.jobs.newer_kinds import take_up_jobs
from rustok.jobs.runner import JobRunner
from rustok.kernel.ports import Clock
from workers.actors import drain

log = structlog.get_logger(__name__)

INTERVAL_S = 2.0
_AGGREGATES = 100
_GIVEN_BACK = 1_000
_JOBS = 16
"""At a time: what one worker has, others could be doing."""


class Newcomer:
    """*known*: the events of this release; *kinds*: the kinds of jobs that this worker can do now.

    While the worker *is_quiet* nothing is taken up.
    """

    def __init__(
        self,
        engine: AsyncEngine,
        *,
        consumers: Mapping[str, Consumer],
        known: Collection[str],
        runner: JobRunner,
        kinds: Callable[[], Collection[str]],
        is_quiet: Callable[[], bool],
        clock: Clock,
    ) -> None:
        self._engine = engine
        self._consumers = consumers
        self._known = known
        self._runner = runner
        self._kinds = kinds
        self._is_quiet = is_quiet
        self._clock = clock

    async def run_events(self) -> None:
        """Look for aggregates until cancelled. A failing server is waited for."""
        await self._run(self.take_up_events)

    async def run_jobs(self) -> None:
        """Look for jobs until cancelled. A failing server is waited for."""
        await self._run(self.take_up_jobs)

    async def take_up_events(self) -> None:
        """Handle all aggregates that waited for an event which is known here, and let others wait again."""
        if given_back := await give_back_aggregates(self._engine, self._known, _GIVEN_BACK):
            log.warning("aggregates_given_back", count=given_back)
        while not self._is_quiet():
            names = await take_up_aggregates(self._engine, self._consumers, self._known, _AGGREGATES)
            if not names:
                return
            for name in names:
                await drain(self._consumers[name])

    async def take_up_jobs(self) -> None:
        """Do all jobs that waited for somebody who knows their kind, as long as any of them may begin."""
        while not self._is_quiet():
            ids = await take_up_jobs(self._engine, self._kinds(), _JOBS)
            if not ids or not await self._runner.work(ids):
                return

    async def _run(self, look: Callable[[], Awaitable[None]]) -> None:
        while True:
            try:
                await look()
            except Exception as error:
                log.warning("newcomer_waited", reason=describe(error), exc_info=not is_transient(error))
            await self._clock.sleep(INTERVAL_S)
