"""Parses JSON strictly: what gets through has one meaning, to every reader (RFC 7493) and to PostgreSQL."""

import json
import re
from typing import Any

import orjson

from rustok.kernel.errors import InvalidInput, RustokError, Violation

DEPTH = 32
NODES = 10_000
_INT64 = 2**63
_EXACT = 2**53
_INFINITIES = (float("inf"), float("-inf"))
_SPACES = b" \t\r\n"
_ZERO_FRACTION = re.compile(rb"\.0")
_UNSTORABLE = re.compile("[\x00\ud800-\udfff]")

Place = Any
"""Where a value is: its parent's place and a step, None for the root. Spelled out only for a fault."""


class MalformedJson(RustokError):
    """The text is not JSON."""

    code = "malformed_json"


def parse_object(raw: bytes, most_values: int = NODES) -> dict[str, Any]:
    """Return the value of a JSON text that holds an object, of so many values at most.

    Raises:
        MalformedJson: as `parse` does.
        InvalidInput: as `parse` does; or it is no object.

    """
    value = parse(raw, most_values)
    if not isinstance(value, dict):
        raise _refused("", "object_expected", "must be a JSON object")
    return value


def parse(raw: bytes, most_values: int = NODES) -> Any:
    """Return the value of a JSON text.

    Raises:
        MalformedJson: it is not JSON (RFC 8259) in UTF-8.
        InvalidInput: it holds a value that is not interoperable, or more values than a request may.

    """
    try:
        value = orjson.loads(raw)
    except orjson.JSONDecodeError:
        return _parse_carefully(raw, most_values)  # which tells why
    return value if _is_beyond_doubt(raw, value, most_values) else _parse_carefully(raw, most_values)


def _is_beyond_doubt(raw: bytes, value: Any, most_values: int) -> bool:
    """Tell quickly whether *value* is what every reader reads in *raw*, within the limits; no more often than it is so.

    A text that is written again as it was has no name twice, and no number that was changed to fit.
    """
    try:
        written = orjson.dumps(value, option=orjson.OPT_STRICT_INTEGER)
    except orjson.JSONEncodeError:  # an integer of more than 53 bits
        return False
    if written != raw and written.translate(None, _SPACES) != raw.translate(None, _SPACES):
        return False
    if _ZERO_FRACTION.search(raw) or (b"\\" in raw and b"\\u" in raw):
        return False  # perhaps an integer, or what cannot be stored
    containers = raw.count(b"[") + raw.count(b"{")
    are_few = len(raw) <= most_values or raw.count(b",") + containers < most_values  # each value is a byte at least
    return are_few and (containers <= DEPTH or _is_shallow(value))


def _is_shallow(value: Any) -> bool:
    level = [value]
    for _ in range(DEPTH):
        members = (member for each in level for member in (each.values() if type(each) is dict else each))
        level = [member for member in members if type(member) is dict or type(member) is list]
        if not level:
            return True
    return False


def _parse_carefully(raw: bytes, most_values: int) -> Any:
    """Do what `parse` does, and look at each value."""
    try:
        text = raw.decode()
        value = _DECODER.decode(text)
    except json.JSONDecodeError as error:
        raise MalformedJson(f"The text is not JSON: see its line {error.lineno}, column {error.colno}.") from None
    except UnicodeDecodeError as error:
        raise MalformedJson(f"The text is not UTF-8: see its byte {error.start}.") from None
    except RecursionError:
        raise _too_deep(None) from None
    except ValueError:  # an integer of thousands of digits
        raise _out_of_range(None) from None
    # Only an escape can bring in U+0000 or half a surrogate pair.
    _check(value, most_values, check_texts="\\u" in text)
    return value


class _Repeating(dict[str, Any]):
    """A JSON object in which a name occurs twice."""


def _check(root: Any, most_values: int, *, check_texts: bool) -> None:
    level: list[tuple[Any, Place]] = [(root, None)]
    nodes = depth = 0
    while level:
        nodes += len(level)
        depth += 1
        if nodes > most_values:
            raise _refused("", "too_many_values", f"must not hold more than {most_values} values")
        deeper: list[tuple[Any, Place]] = []
        for value, place in level:
            kind = type(value)
            if kind is str:
                if check_texts and _UNSTORABLE.search(value):
                    raise _unstorable(place)
            elif kind is int or kind is float:
                if not -_INT64 <= value < _INT64 and (kind is int or value in _INFINITIES):
                    raise _out_of_range(place)
            elif value is not None and kind is not bool:
                deeper += _members(value, place, check_names=check_texts)
                if depth > DEPTH:
                    raise _too_deep(place)
        level = deeper


def _members(container: Any, place: Place, *, check_names: bool) -> list[tuple[Any, Place]]:
    if type(container) is list:
        return [(value, (place, n)) for n, value in enumerate(container)]
    if type(container) is _Repeating:
        raise _refused(_pointer(place), "duplicate_name", "must not hold a name twice")
    if check_names and any(_UNSTORABLE.search(name) for name in container):
        raise _unstorable(place)
    return [(value, (place, name)) for name, value in container.items()]


def _refused(pointer: str, code: str, detail: str) -> InvalidInput:
    """Return the refusal of one value."""
    return InvalidInput("The input does not fit.", [Violation(pointer, code, detail)])


def _unstorable(place: Place) -> InvalidInput:
    return _refused(_pointer(place), "text_not_storable", "texts must not hold U+0000 or a lone surrogate")


def _out_of_range(place: Place) -> InvalidInput:
    return _refused(_pointer(place), "number_out_of_range", "integers must fit 64 bits, other numbers a double")


def _too_deep(place: Place) -> InvalidInput:
    return _refused(_pointer(place), "too_deep", f"must not be nested deeper than {DEPTH}")


def _pointer(place: Place) -> str:
    steps = []
    while place is not None:
        place, step = place
        steps.append("/" + str(step).replace("~", "~0").replace("/", "~1"))
    return "".join(reversed(steps))


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    members = dict(pairs)
    return members if len(members) == len(pairs) else _Repeating(members)


def _number(text: str) -> float:
    """Return a number that is written with a fraction or an exponent; without a fraction it is an integer, however it
    is written (JSON Schema 2020-12, section 4.2.2).
    """
    number = float(text)
    return int(number) if abs(number) <= _EXACT and number.is_integer() else number


def _refuse_constant(_name: str) -> Any:
    raise MalformedJson("The text is not JSON: NaN and Infinity are no JSON numbers.")


_DECODER = json.JSONDecoder(object_pairs_hook=_object, parse_float=_number, parse_constant=_refuse_constant)
