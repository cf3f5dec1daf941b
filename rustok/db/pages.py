"""Keyset pages of a list, onwards and back: rows that come and go meanwhile shift nothing."""

from collections.abc import Awaitable, Callable, Mapping, Sequence
from functools import partial
from typing import Any, NamedTuple
from uuid import UUID

from sqlalchemy import Row, TextClause, text

from rustok.db.engine import to_json
from rustok.db.unit_of_work import UnitOfWork
from rustok.kernel.cursor import Place
from rustok.kernel.module import PageLinks


class Page(NamedTuple):
    """Rows in the order of their list, and where the list goes on from them."""

    rows: list[Row[Any]]
    links: PageLinks


Read = Callable[[Place, int], Awaitable[Sequence[Row[Any]]]]
"""Returns up to so many rows from a place on, in the direction of the walk."""


async def read_page(
    uow: UnitOfWork,
    read: Read,
    position_of: Callable[[Row[Any]], Sequence[Any]],
    *,
    name: str,
    cursor: str | None,
    limit: int,
) -> Page:
    """Return the page of the list *name* at which *cursor* leads, the first one without a cursor.

    *name* has the filters and the sort. *position_of* returns the values that place a row in the list, as JSON.

    Raises:
        InvalidInput: the cursor was not made for this list.

    """
    bound_to = f"{uow.tenant_id} {name}"
    place = uow.cursors.decode(cursor, bound_to) if cursor else Place()
    found = await read(place, limit + 1)
    rows = list(found[:limit])
    ahead, behind = len(found) > limit, place.position is not None
    if place.backwards:
        rows.reverse()
        ahead, behind = behind, ahead

    def link(row: int, *, backwards: bool) -> str:
        # Where nothing is left on the far side, the way back starts from that end.
        return uow.cursors.encode(Place(position_of(rows[row]) if rows else None, backwards), bound_to)

    links = PageLinks(
        next=link(-1, backwards=False) if ahead else None,
        prev=link(0, backwards=True) if behind else None,
    )
    return Page(rows, links.with_rows(partial(link, backwards=False)))


class Listing:
    """A list in the order of one column, in which no two of its rows are equal.

    *select* is a statement that ends in its WHERE clause; its parameters are `:tenant_id`, `:now` and the filters.
    """

    def __init__(self, name: str, select: str, *, key: str, key_type: str, descending: bool = False) -> None:
        self._name = name
        self._column = key.rpartition(".")[2]
        self._onwards, self._back = (
            _statement(select, key, key_type, descending=descending != backwards) for backwards in (False, True)
        )

    async def page(self, uow: UnitOfWork, filters: Mapping[str, Any], cursor: str | None, limit: int) -> Page:
        """Return the page at which *cursor* leads. Raises InvalidInput where that was made for something else."""

        async def read(place: Place, most: int) -> Sequence[Row[Any]]:
            statement = self._back if place.backwards else self._onwards
            position = place.position[0] if place.position else None
            values = {"tenant_id": uow.tenant_id, "now": uow.now, **filters, "position": position, "most": most}
            return (await uow.execute(statement, values)).all()

        name = f"{self._name} {to_json(filters)}"
        return await read_page(uow, read, self._position_of, name=name, cursor=cursor, limit=limit)

    def _position_of(self, row: Row[Any]) -> Sequence[Any]:
        value = row._mapping[self._column]
        return [str(value) if isinstance(value, UUID) else value]


def _statement(select: str, key: str, key_type: str, *, descending: bool) -> TextClause:
    comparison, direction = ("<", "DESC") if descending else (">", "ASC")
    position = f"CAST(:position AS {key_type})"
    return text(
        f"{select} AND ({position} IS NULL OR {key} {comparison} {position}) ORDER BY {key} {direction} LIMIT :most"
    )
