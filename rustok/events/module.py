"""Descriptor of the outbox: the log and those who read it."""

from rustok.events import feed
from rustok.kernel.module import Module, ModuleKind, Query
from rustok.kernel.permission import Permission

OUTBOX = Module(
    name="outbox",
    kind=ModuleKind.INFRASTRUCTURE,
    summary="The event log: staging, sequencer, checkpoints, parked aggregates.",
    path="events",
    permissions=(Permission("outbox.events.read", "Follow the tenant's events"),),
    queries=(
        Query(
            name="outbox.events.list",
            summary="Follow the tenant's events, oldest first, as CloudEvents",
            permission="outbox.events.read",
            input=feed.ListEvents,
            result=feed.EventPage,
            handler=feed.list_events,
            route="GET",
            errors=(feed.CursorExpired,),
        ),
    ),
    tables=("outbox", "event_log", "log_state", "checkpoints", "parked_aggregates"),
)
