"""A tenant's own events, from the oldest on, for whoever follows them from outside with a cursor."""

from collections.abc import Sequence
from typing import Annotated, ClassVar

from pydantic import Field
from sqlalchemy import text

from rustok.db.unit_of_work import UnitOfWork
from rustok.events.outbox import COLUMNS, logged_event
from rustok.kernel.cloud_event import CloudEvent, cloud_event
from rustok.kernel.cursor import Place
from rustok.kernel.errors import Gone
from rustok.kernel.event import LoggedEvent
from rustok.kernel.fields import EventPattern
from rustok.kernel.module import QueryInput, Result

_LOOKED_AT = 1000
"""Events that a page looks at: a filter that few of them fit must not read the whole log for it."""

# A plan that is for no tenant in particular walks through the whole log for one that has few events of it.
_PLANNED_ANEW = text("SET LOCAL plan_cache_mode = force_custom_plan")
# In one snapshot: what is in the log up to its last position is all that will ever be there.
_LOOK = text(
    """
    SELECT first_position, last_position, end_of_look, looked_at
      FROM event_log_bounds(),
           (SELECT max(position) AS end_of_look, count(*) AS looked_at
              FROM (SELECT position FROM event_log
                     WHERE tenant_id = :tenant_id AND position > :after
                     ORDER BY position LIMIT :limit) AS seen) AS look
    """
)
_READ = text(
    f"""
    SELECT {COLUMNS} FROM event_log
     WHERE tenant_id = :tenant_id AND position > :after AND position <= :until
       AND (type = :type OR starts_with(type, :prefix))
     ORDER BY position LIMIT :limit
    """
)


class CursorExpired(Gone):
    """The log has dropped events that come after this cursor: read what you keep anew, then follow without `after`."""

    code = "cursor_expired"


class ListEvents(QueryInput):
    """`type`: an event type such as `commerce.product.created`, or `commerce.product.*`; all of them without it."""

    example: ClassVar = {"type": "commerce.product.*"}

    type: EventPattern = "*"
    limit: Annotated[int, Field(ge=1, le=100)] = 50
    after: str | None = None


class FeedLinks(Result):
    """`next` is always there: go on with it, at once while `has_more`, else when you want to see what has come."""

    next: str
    has_more: bool


class EventPage(Result):
    """Events in the order of the log. With a filter a page may be short, or empty, while there is more."""

    data: list[CloudEvent]
    page: FeedLinks


async def list_events(uow: UnitOfWork, data: ListEvents) -> EventPage:
    """Return the next events of the tenant, of those types, none twice and none left out.

    Raises:
        CursorExpired: some of them may be gone.

    """
    bound_to = f"{uow.tenant_id} outbox.events {data.type}"
    place = uow.cursors.decode(data.after, bound_to) if data.after else Place()
    after = place.position[0] if place.position else 0
    await uow.execute(_PLANNED_ANEW)
    look = (await uow.execute(_LOOK, {"tenant_id": uow.tenant_id, "after": after, "limit": _LOOKED_AT})).one()
    if data.after and after + 1 < look.first_position:
        raise CursorExpired("Events after this cursor are kept no more: read what you keep anew, then drop `after`.")
    has_more = look.looked_at == _LOOKED_AT
    until = look.end_of_look if has_more else look.last_position
    events = await _read(uow, data, after, until)
    if len(events) > data.limit:
        has_more, until = True, events[data.limit - 1].position
    return EventPage(
        data=[cloud_event(uow.registry.upcast(event.envelope)) for event in events[: data.limit]],
        page=FeedLinks(next=uow.cursors.encode(Place([until]), bound_to), has_more=has_more),
    )


async def _read(uow: UnitOfWork, data: ListEvents, after: int, until: int) -> Sequence[LoggedEvent]:
    """Return what a page may have of the events between two positions, and one more if there is."""
    values = {
        "tenant_id": uow.tenant_id,
        "after": after,
        "until": until,
        "type": data.type,
        "prefix": data.type[:-1] if data.type.endswith("*") else None,
        "limit": data.limit + 1,
    }
    return [logged_event(row) for row in await uow.execute(_READ, values)]
