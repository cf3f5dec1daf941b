"""What every search has in common: two functions of the database a kind, a stable order, keyset pages."""

from collections.abc import Mapping, Sequence
from functools import cache
from typing import Annotated, Any

from pydantic import Field, StringConstraints
from sqlalchemy import Row, TextClause, text

from rustok.db.engine import to_json
from rustok.db.unit_of_work import UnitOfWork
from rustok.kernel.module import PageLinks

Words = Annotated[str, StringConstraints(min_length=1, max_length=200)]
"""What a person types: words, "a phrase", -without, or."""

Limit = Annotated[int, Field(ge=1, le=100)]

_SORTED_BY = {"relevance": "rank", "newest": "published_at", "price": "price_min", "-price": "price_min"}
"""The column of each sort that is not called as its column is."""


async def search_page(
    uow: UnitOfWork,
    kind: str,
    *,
    key: str,
    locale: str,
    words: str | None,
    filters: Mapping[str, Any],
    sort: str | None,
    limit: int,
    after: str | None,
) -> tuple[Sequence[Row[Any]], PageLinks]:
    """Return one page of what there is of a *kind*: by relevance when there are words, else the newest first.

    *key* names the id among the columns.
    """
    sort = sort or ("relevance" if words else "newest")
    bound_to = f"{uow.tenant_id} search_{kind} {locale} {sort} {to_json([words, filters])}"
    rows = (
        await uow.execute(
            _call(f"search_{kind}" if words else f"list_{kind}"),
            {
                "tenant_id": uow.tenant_id,
                "locale": locale,
                "query": words,
                "filters": to_json(filters),
                "sort": sort,
                "after": to_json(uow.cursors.decode(after, bound_to)) if after else None,
                "limit": limit + 1,
            },
        )
    ).all()
    page = rows[:limit]
    cursor = None
    if len(rows) > limit:
        last = page[-1]._mapping
        cursor = uow.cursors.encode([str(last[_SORTED_BY.get(sort, sort)]), str(last[key])], bound_to)
    return page, PageLinks(next=cursor)


@cache
def _call(function: str) -> TextClause:
    return text(
        f"""
        SELECT * FROM {function}(CAST(:tenant_id AS uuid), :locale, :query, CAST(:filters AS jsonb), :sort,
                                 CAST(:after AS jsonb), :limit)
        """
    )
