"""What every search has in common: functions of the database, a stable order, keyset pages."""

from collections.abc import Mapping, Sequence
from functools import cache
from typing import Annotated, Any

from pydantic import Field, StringConstraints
from sqlalchemy import Row, TextClause, text

from rustok.db.engine import to_json
from rustok.db.pages import Page, read_page
from rustok.db.unit_of_work import UnitOfWork
from rustok.kernel.cursor import Place

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
) -> Page:
    """Return one page of what there is of a *kind*: by relevance when there are words, else the newest first.

    *key* names the id among the columns.
    """
    sort = sort or ("relevance" if words else "newest")

    async def read(place: Place, most: int) -> Sequence[Row[Any]]:
        function = f"search_{kind}_back" if place.backwards else f"search_{kind}" if words else f"list_{kind}"
        values = {
            "tenant_id": uow.tenant_id,
            "locale": locale,
            "query": words,
            "filters": to_json(filters),
            "sort": sort,
            "position": to_json(place.position) if place.position else None,
            "most": most,
        }
        return (await uow.execute(_call(function), values)).all()

    def position_of(row: Row[Any]) -> Sequence[str]:
        return [str(row._mapping[_SORTED_BY.get(sort, sort)]), str(row._mapping[key])]

    name = f"search_{kind} {locale} {sort} {to_json([words, filters])}"
    return await read_page(uow, read, position_of, name=name, cursor=after, limit=limit)


@cache
def _call(function: str) -> TextClause:
    return text(
        f"""
        SELECT * FROM {function}(CAST(:tenant_id AS uuid), :locale, :query, CAST(:filters AS jsonb), :sort,
                                 CAST(:position AS jsonb), :most)
        """
    )
