"""Reads the query string of a query: every parameter is known, and only a list is given more than once."""

from collections.abc import Iterator
from collections.abc import Set as AbstractSet
from types import UnionType
from typing import Annotated, Any, Union, get_args, get_origin
from urllib.parse import parse_qsl

from pydantic import BaseModel

from api.faults import InvalidParameters
from rustok.kernel.errors import Violation

_PAIRS = 200


def list_fields(model: type[BaseModel]) -> frozenset[str]:
    """Return the fields of *model* that hold a list, also an optional one."""
    return frozenset(name for name, field in model.model_fields.items() if list in _origins(field.annotation))


def read_parameters(query_string: bytes, known: AbstractSet[str], lists: AbstractSet[str]) -> dict[str, Any]:
    """Return the parameters as texts, and those in *lists* as lists of texts.

    Raises:
        InvalidParameters: one is not in *known*, or is repeated and not in *lists*, or is not UTF-8.

    """
    found: dict[str, list[str]] = {}
    for name, value in _pairs(query_string):
        found.setdefault(name, []).append(value)
    faults = [
        *(
            Violation(_pointer(name), "unknown_parameter", "is no parameter of this query")
            for name in found.keys() - known
        ),
        *(
            Violation(_pointer(name), "repeated_parameter", "must be given once")
            for name, values in found.items()
            if name in known - lists and len(values) > 1
        ),
    ]
    if faults:
        raise InvalidParameters("The query string does not fit.", sorted(faults, key=lambda f: f.pointer))
    return {name: values if name in lists else values[0] for name, values in found.items()}


def _pairs(query_string: bytes) -> list[tuple[str, str]]:
    try:
        return parse_qsl(query_string.decode("ascii"), keep_blank_values=True, errors="strict", max_num_fields=_PAIRS)
    except ValueError:
        raise InvalidParameters(
            f"The query string must be percent-encoded UTF-8, of at most {_PAIRS} parameters."
        ) from None


def _pointer(name: str) -> str:
    return "/" + name.replace("~", "~0").replace("/", "~1")


def _origins(annotation: Any) -> Iterator[Any]:
    origin = get_origin(annotation)
    yield origin or annotation
    if origin in (Union, UnionType, Annotated):
        for part in get_args(annotation):
            yield from _origins(part)
