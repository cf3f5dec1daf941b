"""The way from arguments to the fields of a command, and from faults in those back to the arguments."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from copy import copy
from typing import Any

from pydantic import BaseModel

from api.graphql.annotations import is_model, item_of, key_of, read, value_of
from api.graphql.names import camel
from rustok.kernel.errors import InvalidInput, RustokError, Violation


def fields_of(model: type[BaseModel], given: Mapping[str, Any], pointer: str = "/input") -> dict[str, Any]:
    """Return what is *given* as the fields of *model*, as its command takes them.

    Raises:
        InvalidInput: two entries of what is a map there have the same key.

    """
    named = {camel(name): (name, read(info.annotation).kind) for name, info in model.model_fields.items()}
    return {
        named[argument][0]: _value(*named[argument], value, f"{pointer}/{argument}")
        for argument, value in given.items()
    }


def _value(name: str, kind: Any, value: Any, pointer: str) -> Any:
    if value is None:
        return None
    if entry := value_of(kind):
        return _map(entry, key_of(name), value, pointer)
    if is_model(kind):
        return fields_of(kind, value, pointer)
    item = item_of(kind)
    if is_model(item):
        return [fields_of(item, each, f"{pointer}/{place}") for place, each in enumerate(value)]
    return value


def _map(entry: type[BaseModel], key: str, given: Sequence[Mapping[str, Any]], pointer: str) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for place, each in enumerate(given):
        at = f"{pointer}/{place}"
        if each[key] in found:
            fault = Violation(f"{at}/{key}", "repeated_key", f"another entry has this {key}")
            raise InvalidInput("The input does not fit.", [fault])
        found[each[key]] = fields_of(entry, {name: value for name, value in each.items() if name != key}, at)
    return found


def placed(
    error: RustokError, model: type[BaseModel], prefix: str = "", called: Callable[[str], str] = camel
) -> RustokError:
    """Return *error* with its faults at the arguments below *prefix*, which stand for the fields of *model*.

    Steps that are fields are as they are *called*; keys of maps, and what is inside of JSON, are as they were sent.
    """
    found: Any = copy(error)
    found.violations = tuple(
        Violation("/".join([prefix, *_steps(model, fault.pointer.split("/")[1:], called)]), fault.code, fault.detail)
        for fault in getattr(error, "violations", ())
    )
    return found  # type: ignore[no-any-return] # a copy of its own class


def _steps(kind: Any, steps: Sequence[str], called: Callable[[str], str]) -> Iterator[str]:
    for step in steps:
        if is_model(kind) and (field := kind.model_fields.get(step)):
            yield called(step)
            kind = read(field.annotation).kind
        else:
            yield step
            kind = read(value_of(kind) or item_of(kind)).kind
