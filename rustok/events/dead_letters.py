"""Parked aggregates as dead letters: which of them are meant, and what is done with a page of them.

A page is short, so that consumers begin with its aggregates while others follow, and nobody waits long for a row.
"""

from typing import Annotated, Any, ClassVar, NamedTuple
from uuid import UUID

from pydantic import Field
from sqlalchemy import TextClause, text
from sqlalchemy.ext.asyncio import AsyncEngine

from rustok.db.transaction import Transaction, run_alone
from rustok.kernel.fields import Moment
from rustok.kernel.module import Input

PAGE = 1000
BEFORE_ALL = UUID(int=0)

CHOSEN = """
           (CAST(:what AS text) IS NULL OR what = :what)
       AND (CAST(:id AS uuid) IS NULL OR id = :id)
       AND (CAST(:until AS timestamptz) IS NULL OR since <= :until)
       AND (CAST(:fingerprint AS text) IS NULL OR error_fingerprint(what, error) = :fingerprint)
"""
_PAGE = """
    WITH page AS MATERIALIZED (
        SELECT consumer AS what, aggregate_id AS id, error,
               CASE state WHEN 'retrying' THEN parked_at ELSE due_at END AS since
          FROM parked_aggregates
         WHERE consumer = :consumer AND tenant_id = :tenant_id AND aggregate_id > :after
         ORDER BY aggregate_id LIMIT :limit
    )
"""
_OF_PAGE = f"""
     WHERE consumer = :consumer AND tenant_id = :tenant_id
       AND aggregate_id = ANY (ARRAY(SELECT id FROM page WHERE {CHOSEN}))
"""
TOLD = "SELECT (SELECT count(*) FROM changed) AS changed, (SELECT id FROM page ORDER BY id DESC LIMIT 1) AS last"
# What was redriven and has not been tried since is left alone: an operation that goes on after its worker was killed
# has counted it.
_REDRIVE = text(
    f"""
    {_PAGE}, changed AS (
        UPDATE parked_aggregates SET state = 'retrying', attempts = 0, due_at = now(), needs = NULL
        {_OF_PAGE} AND state <> 'needs_version' AND NOT (state = 'retrying' AND attempts = 0)
        RETURNING 1
    ) {TOLD}
    """
)
_DISCARD = text(
    f"""
    {_PAGE}, changed AS (
        DELETE FROM parked_aggregates {_OF_PAGE} AND state = :state RETURNING 1
    ) {TOLD}
    """
)
_CONSUMERS = text("SELECT DISTINCT consumer FROM parked_aggregates WHERE tenant_id = :tenant_id")


class Choice(Input):
    """The dead letters of a tenant that fit every given field; all of them, where none is given."""

    example: ClassVar = {"what": "alloy.run"}

    what: Annotated[str | None, Field(description="The consumer or kind of job that failed.")] = None
    id: Annotated[UUID | None, Field(description="The aggregate or job.")] = None
    fingerprint: Annotated[str | None, Field(pattern="^[0-9a-f]{12}$", description="Of the error.")] = None
    until: Annotated[Moment | None, Field(description="Only what was given up by then. Default: by now.")] = None


class Page(NamedTuple):
    """How many were changed, and the last one that was looked at: go on after it. None: there was none left."""

    changed: int
    last: UUID | None


async def consumers_with_parked(engine: AsyncEngine, tenant_id: UUID) -> list[str]:
    """Return the consumers that have parked an aggregate of the tenant."""
    return [row.consumer for row in await run_alone(engine, _CONSUMERS, {"tenant_id": tenant_id})]


async def redrive_page(
    transaction: Transaction, *, tenant_id: UUID, consumer: str, choice: Choice, after: UUID = BEFORE_ALL
) -> Page:
    """Make the next page of what *consumer* has parked due now, with all its attempts before it.

    The consumer tries each aggregate from its first waiting event on, in order. It waits for a retry that runs.
    """
    return await _change(transaction, _REDRIVE, _values(tenant_id, consumer, choice, after))


async def discard_page(
    transaction: Transaction, *, tenant_id: UUID, consumer: str, choice: Choice, state: str, after: UUID = BEFORE_ALL
) -> Page:
    """Forget the next page of what *consumer* has parked and that is in *state*, `dead` or `needs_version`.

    The events of each aggregate that wait, up to the checkpoint, never take effect in this consumer; later ones do.
    """
    return await _change(transaction, _DISCARD, {**_values(tenant_id, consumer, choice, after), "state": state})


def _values(tenant_id: UUID, consumer: str, choice: Choice, after: UUID) -> dict[str, Any]:
    place = {"tenant_id": tenant_id, "consumer": consumer, "after": after, "limit": PAGE}
    return {**choice_values(choice), **place}


def choice_values(choice: Choice) -> dict[str, Any]:
    """Return the parameters of `CHOSEN`."""
    return {name: getattr(choice, name) for name in Choice.model_fields}


async def _change(transaction: Transaction, statement: TextClause, values: dict[str, Any]) -> Page:
    return Page(*(await transaction.execute(statement, values)).one())
