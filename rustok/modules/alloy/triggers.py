"""What starts a script: events that match, a moment, somebody."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Annotated, Any, Literal

from pydantic import Field, StringConstraints, TypeAdapter

from rustok.jobs import Missed
from rustok.kernel.event import Envelope, matches
from rustok.kernel.fields import EventPattern
from rustok.kernel.module import Input

Path = Annotated[str, StringConstraints(pattern=r"^[a-z][A-Za-z0-9_]*(\.[A-Za-z0-9_-]+)*$", max_length=200)]
Scalar = str | int | bool | None


class EventTrigger(Input):
    """Events of this type, or of all types that `commerce.product.*` or `*` covers.

    `filter`: each path, such as `payload.locale`, leads to one of the values given for it.
    """

    kind: Literal["event"]
    pattern: EventPattern
    filter: Annotated[
        dict[Path, Annotated[list[Scalar], Field(min_length=1, max_length=50)]], Field(max_length=10)
    ] = {}


class CronTrigger(Input):
    """The moments of a cron expression of five fields, in a time zone with its changes of the clock.

    `missed`: what becomes of moments that passed while no relay looked. `latest`: one run, for the latest; `all`:
    a run for each of the last 100; `skip`: none, unless the latest passed less than a minute ago.
    """

    kind: Literal["cron"]
    expression: Annotated[str, StringConstraints(min_length=9, max_length=100)]
    timezone: Annotated[str, StringConstraints(min_length=1, max_length=64)] = "UTC"
    missed: Annotated[Missed, Field(exclude_if=lambda missed: missed == "latest")] = "latest"


class ApiTrigger(Input):
    """A request, which is answered 202 with an operation."""

    kind: Literal["api"]


class ManualTrigger(Input):
    """An operator's hand."""

    kind: Literal["manual"]


Trigger = Annotated[EventTrigger | CronTrigger | ApiTrigger | ManualTrigger, Field(discriminator="kind")]
Triggers = Annotated[list[Trigger], Field(max_length=10)]

_TRIGGERS: TypeAdapter[list[Trigger]] = TypeAdapter(Triggers)


def read_triggers(stored: Any) -> list[Trigger]:
    """Return triggers as they were stored."""
    return _TRIGGERS.validate_python(stored)


def event_triggers(triggers: Iterable[Trigger]) -> list[EventTrigger]:
    return [trigger for trigger in triggers if isinstance(trigger, EventTrigger)]


def is_triggered(trigger: EventTrigger, event: Envelope) -> bool:
    """Tell whether *event* is one that the trigger means."""
    if not matches(trigger.pattern, event.type):
        return False
    document = {"type": event.type, "actor": event.actor, "payload": event.payload}
    return all(_is_among(_value_at(document, path), values) for path, values in trigger.filter.items())


_ABSENT = object()


def _value_at(document: Any, path: str) -> Any:
    for step in path.split("."):
        if not isinstance(document, Mapping) or step not in document:
            return _ABSENT
        document = document[step]
    return document


def _is_among(value: Any, values: Sequence[Scalar]) -> bool:
    # In Python 1 == True; whoever wrote the filter meant one of them.
    return any(type(value) is type(other) and value == other for other in values)
