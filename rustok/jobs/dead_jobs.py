"""Dead jobs as dead letters: what is done with a page of them."""

from uuid import UUID

from sqlalchemy import TextClause, text

from rustok.db.transaction import Transaction
from rustok.events.dead_letters import BEFORE_ALL, CHOSEN, PAGE, TOLD, Choice, Page, choice_values
from rustok.jobs.history import into_history
from rustok.jobs.ledger import AS_NEW

# As the view dead_letters has them, by state, which is a literal since each has its own partial index.
_ERRORS = {
    "dead": "concat_ws(': ', error ->> 'code', error ->> 'message')",
    "needs_version": "'This release knows no such jobs.'::text",
}
_PAGE = """
    WITH page AS MATERIALIZED (
        SELECT id, kind AS what, {error} AS error, due_at AS since
          FROM jobs WHERE tenant_id = :tenant_id AND state = '{state}' AND id > :after ORDER BY id LIMIT :limit
    )
"""
# No join here: PostgreSQL, which believes that the ledger is empty, would read all of it for each page.
_OF_PAGE = f"""
     WHERE tenant_id = :tenant_id AND state = '{{state}}' AND id = ANY (ARRAY(SELECT id FROM page WHERE {CHOSEN}))
"""
_REDRIVE = text(
    f"""
    {_PAGE}, changed AS (
        UPDATE jobs SET {AS_NEW} {_OF_PAGE}
        RETURNING 1
    ) {TOLD}
    """.format(state="dead", error=_ERRORS["dead"])
)
_DISCARD = f"""
    {_PAGE}, discarded AS (
        DELETE FROM jobs {_OF_PAGE} RETURNING *
    ), changed AS (
        {into_history("discarded", "'discarded'", "jsonb_build_object('error', error)")}
        RETURNING 1
    ) {TOLD}
"""
_DISCARD_FROM = {state: text(_DISCARD.format(state=state, error=error)) for state, error in _ERRORS.items()}


async def redrive_page(transaction: Transaction, *, tenant_id: UUID, choice: Choice, after: UUID = BEFORE_ALL) -> Page:
    """Make the next page of the tenant's dead jobs ready again, with all their attempts.

    They have no key any more: another job may have it by now.
    """
    return await _change(transaction, _REDRIVE, tenant_id, choice, after)


async def discard_page(
    transaction: Transaction, *, tenant_id: UUID, choice: Choice, state: str, after: UUID = BEFORE_ALL
) -> Page:
    """End the next page of the tenant's jobs in *state*, `dead` or `needs_version`, as discarded, with their error."""
    return await _change(transaction, _DISCARD_FROM[state], tenant_id, choice, after)


async def _change(
    transaction: Transaction, statement: TextClause, tenant_id: UUID, choice: Choice, after: UUID
) -> Page:
    values = {**choice_values(choice), "tenant_id": tenant_id, "after": after, "limit": PAGE}
    return Page(*(await transaction.execute(statement, values)).one())
