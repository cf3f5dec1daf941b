"""Redrives and discards dead letters: an operation of one tenant, page by page, each committed with its progress.

After a kill in the middle the next attempt goes on: what was done is no dead letter any more, and is counted.
"""

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any, TypeVar

from sqlalchemy import text
from sqlalchemy.exc import DBAPIError
from sqlalchemy.ext.asyncio import AsyncEngine

from rustok.db.failures import is_statement_cancelled
from rustok.db.transaction import begin, run_alone
from rustok.events import dead_letters as parked
from rustok.events.dead_letters import BEFORE_ALL, Choice, Page
from rustok.jobs import Leased, dead_jobs, finish, report
from rustok.jobs.dead_letters import REDRIVEN, DiscardChoice, count_dead_letters

Chosen = TypeVar("Chosen", bound=Choice)
ChangePage = Callable[..., Awaitable[Page]]
"""`change(transaction, after=...)` changes the dead letters of the page that begins after an id."""

_PROGRESS = text("SELECT progress FROM jobs WHERE id = :id")


class Redriving:
    """Handles jobs of the kind `jobs.redrive`; the result is `{"count": ...}`."""

    def __init__(self, engine: AsyncEngine) -> None:
        self._engine = engine

    async def __call__(self, job: Leased) -> None:
        choice = _choice(Choice, job)
        of_aggregates = partial(parked.redrive_page, tenant_id=job.tenant_id, choice=choice)
        of_jobs = partial(dead_jobs.redrive_page, tenant_id=job.tenant_id, choice=choice)
        await _Operation(self._engine, job, choice, REDRIVEN).run(of_aggregates, of_jobs)


class Discarding:
    """Handles jobs of the kind `jobs.discard`; the result is `{"count": ...}`."""

    def __init__(self, engine: AsyncEngine) -> None:
        self._engine = engine

    async def __call__(self, job: Leased) -> None:
        choice = _choice(DiscardChoice, job)
        of_aggregates = partial(parked.discard_page, tenant_id=job.tenant_id, choice=choice, state=choice.state)
        of_jobs = partial(dead_jobs.discard_page, tenant_id=job.tenant_id, choice=choice, state=choice.state)
        await _Operation(self._engine, job, choice, [choice.state]).run(of_aggregates, of_jobs)


def _choice(model: type[Chosen], job: Leased) -> Chosen:
    """Return which dead letters *job* is about: none that came after it, or it might go on for ever."""
    choice = model.model_validate(job.args, strict=False)
    return choice.model_copy(update={"until": min(choice.until or job.created_at, job.created_at)})


@dataclass(frozen=True, slots=True)
class _Operation:
    engine: AsyncEngine
    job: Leased
    choice: Choice
    states: Sequence[str]

    async def run(self, of_aggregates: ChangePage, of_jobs: ChangePage) -> None:
        """Change all that is chosen, aggregates a consumer after the other, then jobs, and end the operation."""
        done, total = await self._progress()
        consumers = await parked.consumers_with_parked(self.engine, self.job.tenant_id)
        changes: list[ChangePage] = [partial(of_aggregates, consumer=consumer) for consumer in consumers]
        for change in [*changes, of_jobs]:
            page = Page(0, BEFORE_ALL)
            while page.last is not None:
                async with begin(self.engine, "BEGIN") as (transaction, _):
                    page = await change(transaction, after=page.last)
                    await report(transaction, self.job, done + page.changed, total)
                done += page.changed
        async with begin(self.engine, "BEGIN") as (transaction, _):
            await finish(transaction, self.job, {"count": done})

    async def _progress(self) -> tuple[int, int | None]:
        """Return how many an earlier attempt has changed, and how many there were before the first one.

        None: more than PostgreSQL can count in the time that a statement has. They are changed all the same.
        """
        progress: Any = (await run_alone(self.engine, _PROGRESS, {"id": self.job.id})).scalar_one()
        if progress is not None:
            return progress["done"], progress["total"]
        try:
            counts = await count_dead_letters(self.engine, self.choice, self.job.tenant_id, self.states)
        except DBAPIError as error:
            if not is_statement_cancelled(error):
                raise
            return 0, None
        return 0, sum(counts.values())
