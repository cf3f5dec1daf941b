"""Dead letters of both sorts, aggregates and jobs: seen by cause, redriven and discarded by operations."""

from collections.abc import Sequence
from datetime import datetime
from typing import Annotated, Any
from uuid import UUID

from pydantic import Field
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncEngine

from rustok.db.transaction import run_alone
from rustok.db.unit_of_work import UnitOfWork
from rustok.events.dead_letters import CHOSEN, Choice, choice_values
from rustok.jobs.kinds import DISCARD, REDRIVE
from rustok.jobs.ledger import NewJob, enqueue
from rustok.jobs.operations import Accepted
from rustok.kernel.module import JobKind, QueryInput, Result

_CHOSEN = f"(CAST(:tenant_id AS uuid) IS NULL OR tenant_id = :tenant_id) AND {CHOSEN}"
_IN_STATES = "state = ANY (CAST(:states AS text[]))"
# By tenant first: `count(DISTINCT tenant_id)` would have all of them sorted.
_GROUPS = text(
    f"""
    SELECT fingerprint, what, state, CAST(sum(g.count) AS bigint) AS count, count(*) AS tenants,
           min(oldest) AS oldest, max(newest) AS newest, min(example) AS example
      FROM (SELECT tenant_id, state, what, error_fingerprint(what, error) AS fingerprint, count(*) AS count,
                   min(since) AS oldest, max(since) AS newest, min(error COLLATE "C") AS example
              FROM dead_letters WHERE {_CHOSEN}
             GROUP BY tenant_id, state, what, error_fingerprint(what, error)) AS g
     GROUP BY state, what, fingerprint
     ORDER BY state = 'needs_version', sum(g.count) DESC, fingerprint
     LIMIT :limit
    """
)
_EACH = text(
    f"""
    SELECT d.what, d.tenant_id, d.id, d.state, d.attempts, d.error, d.since,
           error_fingerprint(d.what, d.error) AS fingerprint, p.aggregate_type, p.position,
           (SELECT count(*) FROM event_log AS e
             WHERE e.tenant_id = p.tenant_id AND e.aggregate_id = p.aggregate_id AND e.position >= p.position)
           AS waiting_events
      FROM (SELECT * FROM dead_letters WHERE {_CHOSEN} ORDER BY since, id LIMIT :limit) AS d
      LEFT JOIN parked_aggregates AS p ON (p.consumer, p.tenant_id, p.aggregate_id) = (d.what, d.tenant_id, d.id)
     ORDER BY d.since, d.id
    """
)
_COUNT = text(
    f"""
    SELECT tenant_id, count(*) AS amount FROM dead_letters WHERE {_CHOSEN} AND {_IN_STATES}
     GROUP BY tenant_id ORDER BY tenant_id
    """
)
REDRIVEN = ("dead", "retrying")
"""The states of what a redrive tries again."""
_MOST_GROUPS = 1000


class DiscardChoice(Choice):
    """What was given up, or, if so told, what waits for another release."""

    needs_version: Annotated[
        bool, Field(description="Discard what waits for a release that knows it, instead of what was given up.")
    ] = False

    @property
    def state(self) -> str:
        return "needs_version" if self.needs_version else "dead"


class ListDeadLetters(QueryInput):
    what: Annotated[str | None, Field(description="The consumer or kind of job that failed.")] = None


class DeadLetterGroup(Result):
    """Dead letters of one cause.

    `what`: the consumer or kind of job. `state`: `dead`, given up; `retrying`, tried again by itself; `needs_version`,
    no failure, it waits for a worker of a release that knows it.
    """

    fingerprint: str
    what: str
    state: str
    count: int
    oldest: datetime
    newest: datetime
    example: str


class DeadLetterGroups(Result):
    data: list[DeadLetterGroup]


class GroupOfTenants(DeadLetterGroup):
    tenants: int


class DeadLetter(Result):
    """`id` is an aggregate's or a job's. `waiting_events` are those of the aggregate in the log from `position` on."""

    what: str
    tenant_id: UUID
    id: UUID
    state: str
    attempts: int
    error: str
    since: datetime
    fingerprint: str
    aggregate_type: str | None
    position: int | None
    waiting_events: int


async def list_dead_letters(uow: UnitOfWork, data: ListDeadLetters) -> DeadLetterGroups:
    """Return the tenant's dead letters, grouped by cause: failures first, the largest group first, a thousand."""
    values = _values(uow.tenant_id, Choice(what=data.what), limit=_MOST_GROUPS)
    return DeadLetterGroups(data=[DeadLetterGroup(**row._mapping) for row in await uow.execute(_GROUPS, values)])


async def redrive_dead_letters(uow: UnitOfWork, data: Choice) -> Accepted:
    """Have what was given up, and what would be tried again later, tried again now, with all its attempts."""
    return await _ask(uow, REDRIVE, data)


async def discard_dead_letters(uow: UnitOfWork, data: DiscardChoice) -> Accepted:
    """Have what was given up forgotten: jobs are history, aggregates go on after the events that waited."""
    return await _ask(uow, DISCARD, data)


async def group_dead_letters(
    engine: AsyncEngine, choice: Choice, tenant_id: UUID | None, limit: int
) -> list[GroupOfTenants]:
    """Return what `list_dead_letters` does, over all tenants or of one; *engine* connects as the role system."""
    rows = await run_alone(engine, _GROUPS, _values(tenant_id, choice, limit=limit))
    return [GroupOfTenants(**row._mapping) for row in rows]


async def each_dead_letter(
    engine: AsyncEngine, choice: Choice, tenant_id: UUID | None = None, limit: int = 100
) -> list[DeadLetter]:
    """Return single dead letters, the oldest first, with the number of events that wait for each aggregate."""
    rows = await run_alone(engine, _EACH, _values(tenant_id, choice, limit=limit))
    return [DeadLetter(**row._mapping) for row in rows]


async def count_dead_letters(
    engine: AsyncEngine, choice: Choice, tenant_id: UUID | None, states: Sequence[str]
) -> dict[UUID, int]:
    """Return how many dead letters in one of *states* each tenant has that has any."""
    rows = await run_alone(engine, _COUNT, _values(tenant_id, choice, states=list(states)))
    return {row.tenant_id: row.amount for row in rows}


async def _ask(uow: UnitOfWork, kind: JobKind, choice: Choice) -> Accepted:
    job = NewJob(kind=kind, args=choice.model_dump(mode="json", exclude_none=True))
    await enqueue(uow, [job])
    return Accepted(operation_id=job.id)


def _values(tenant_id: UUID | None, choice: Choice, **more: Any) -> dict[str, Any]:
    return {**choice_values(choice), "tenant_id": tenant_id, **more}
