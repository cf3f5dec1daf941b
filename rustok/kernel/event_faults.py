"""What may be wrong with the events that a module declares, and with the chain of their versions."""

import json
import re
from collections import defaultdict
from collections.abc import Iterator, Sequence
from copy import deepcopy

from pydantic import ValidationError

from rustok.kernel.event import Event, schema_name

_TYPE = re.compile(r"[a-z][a-z0-9_]*(\.[a-z][a-z0-9_]*){2,3}")


def event_faults(module: str, events: Sequence[type[Event]]) -> Iterator[str]:
    """Yield each fault with its fix."""
    for event in events:
        if not _TYPE.fullmatch(event.type) or not event.type.startswith(module + "."):
            yield f"event {event.type} must read {module}.<entity>.<past participle>"
        try:
            event.model_validate(event.example)
        except ValidationError as error:
            yield f"the example of event {event.type} does not validate: {first_of(error)}"
    yield from _version_faults(events)


def first_of(error: ValidationError) -> str:
    """Return the first of pydantic's findings, with its place."""
    fault = error.errors()[0]
    return f"{'.'.join(map(str, fault['loc']))}: {fault['msg']}" if fault["loc"] else fault["msg"]


def _version_faults(events: Sequence[type[Event]]) -> Iterator[str]:
    """Yield what keeps events of older versions from being read in the newest one."""
    by_type: dict[str, dict[int, type[Event]]] = defaultdict(dict)
    for event in events:
        by_type[event.type][event.version] = event
    for event_type, versions in by_type.items():
        newest = max(versions)
        if missing := [str(version) for version in range(1, newest) if version not in versions]:
            yield f"event {event_type} has a version {newest}, but no {', '.join(missing)}: keep the classes of all"
            continue
        for version in range(2, newest + 1):
            yield from _upcast_faults(versions[version - 1], versions[version])


def _upcast_faults(old: type[Event], new: type[Event]) -> Iterator[str]:
    name = schema_name(new.type, new.version)
    if new.aggregate != old.aggregate:
        yield f"event {name} is about a {new.aggregate}, its version {old.version} about a {old.aggregate}"
    if "upcast" not in vars(new):
        yield f"event {name} needs an `upcast`, which turns a payload of version {old.version} into one of its own"
        return
    payload = deepcopy(dict(old.example))
    try:
        made = new.upcast(payload)
        new.model_validate_json(json.dumps(made))
    except Exception as error:  # noqa: BLE001 - it is somebody else's code
        reason = first_of(error) if isinstance(error, ValidationError) else repr(error)
        yield f"what `upcast` of event {name} makes of the example of version {old.version} is no payload: {reason}"
        return
    if payload != old.example or new.upcast(payload) != made:
        yield f"`upcast` of event {name} is not pure: it changes its argument, or makes something else of it each time"
