"""Reads the annotations of inputs and results: what GraphQL has a type for, and whether it may be null."""

from types import UnionType
from typing import Annotated, Any, NamedTuple, Union, get_args, get_origin

from pydantic import BaseModel

from rustok.kernel.errors import Misconfigured

_KEYS = {"translations": "locale", "bodies": "locale", "prices": "currency"}
"""GraphQL has no maps: they are lists, whose entries have the key in a field of this name."""


class Read(NamedTuple):
    """An annotation without its constraints, and whether None is one of its values."""

    kind: Any
    is_nullable: bool


def read(annotation: Any) -> Read:
    """Return what *annotation* says."""
    if get_origin(annotation) is Annotated:
        return read(get_args(annotation)[0])
    if get_origin(annotation) in (Union, UnionType):
        kinds = [kind for kind in get_args(annotation) if kind is not type(None)]
        if len(kinds) == 1:
            return Read(read(kinds[0]).kind, is_nullable=True)
    return Read(annotation, is_nullable=False)


def item_of(kind: Any) -> Any:
    """Return what a list is of; None where *kind* is no list."""
    return get_args(kind)[0] if get_origin(kind) is list else None


def value_of(kind: Any) -> type[BaseModel] | None:
    """Return the model that is each value of a map; None where *kind* is no such map."""
    values = get_args(kind)[1:] if get_origin(kind) is dict else ()
    return values[0] if values and is_model(values[0]) else None


def is_model(kind: Any) -> bool:
    return isinstance(kind, type) and issubclass(kind, BaseModel)


def key_of(name: str) -> str:
    """Return what the key of a map is called, by the name of the field that holds it.

    Raises:
        Misconfigured: nobody has said so.

    """
    try:
        return _KEYS[name]
    except KeyError:
        raise Misconfigured(
            f"GraphQL has no name for the keys of {name}: add one in api/graphql/annotations.py."
        ) from None
