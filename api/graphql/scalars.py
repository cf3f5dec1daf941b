"""Scalars beside GraphQL's own, and the enums of what is one of a few texts."""

import math
import re
from datetime import datetime
from typing import Any, get_args
from uuid import UUID

from graphql import (
    GraphQLBoolean,
    GraphQLEnumType,
    GraphQLError,
    GraphQLFloat,
    GraphQLID,
    GraphQLScalarType,
    GraphQLString,
    Undefined,
)

_EXACT = 2**53 - 1
_INT64 = 2**63


def _safe_int(value: Any) -> int:
    if type(value) is not int or abs(value) > _EXACT:
        raise GraphQLError(f"A SafeInt is a whole number from -{_EXACT} to {_EXACT}.")
    return value


def _text(value: Any) -> str:
    if not isinstance(value, str):
        raise GraphQLError("A DateTime is a text.")
    return value


def _json(value: Any) -> Any:
    if value is Undefined:
        raise GraphQLError("A variable within a value of JSON was not sent.")
    if isinstance(value, int) and not -_INT64 <= value < _INT64:
        raise GraphQLError("A whole number must have 64 bits at most.")
    if isinstance(value, float) and not math.isfinite(value):
        raise GraphQLError("JSON has no number that large.")
    for each in value.values() if isinstance(value, dict) else value if isinstance(value, list) else ():
        _json(each)
    return value


SafeInt = GraphQLScalarType(
    "SafeInt",
    description="A whole number of up to 53 bits, which every reader of JSON keeps exact.",
    coerce_input_value=_safe_int,
)
DateTime = GraphQLScalarType(
    "DateTime",
    description="A date and time with its offset.",
    specified_by_url="https://www.rfc-editor.org/rfc/rfc3339",
    coerce_input_value=_text,
)
Json = GraphQLScalarType(
    "JSON",
    description="Any JSON value.",
    specified_by_url="https://www.rfc-editor.org/rfc/rfc8259",
    coerce_input_value=_json,
)
_BY_KIND: dict[Any, GraphQLScalarType] = {
    str: GraphQLString,
    UUID: GraphQLID,
    int: SafeInt,
    bool: GraphQLBoolean,
    float: GraphQLFloat,
    datetime: DateTime,
}


def scalar(kind: Any) -> GraphQLScalarType:
    """Return the scalar of a type of Python's; what has no other form is JSON."""
    return _BY_KIND.get(kind, Json)


class Enums:
    """Makes an enum for each set of texts, called after the first field that has it."""

    def __init__(self) -> None:
        self._made: dict[tuple[str, ...], GraphQLEnumType] = {}

    def of(self, literal: Any, name: str) -> GraphQLEnumType:
        texts = get_args(literal)
        if texts not in self._made:
            self._made[texts] = GraphQLEnumType(name, {member(text): text for text in texts})
        return self._made[texts]


def member(text: str) -> str:
    """Return what an enum calls a text: `-price` is PRICE_DESC."""
    word = re.sub(r"[^a-z0-9]+", "_", text.removeprefix("-")).upper()
    return f"{word}_DESC" if text.startswith("-") else word
