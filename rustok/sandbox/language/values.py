"""Strict JSON: the only values that leave a hook."""

import json
import math
from contextlib import suppress
from typing import Any

MAX_DEPTH = 32
MAX_NODES = 20_000


class Unfit(ValueError):
    """A value that is not strict JSON."""


def clean(value: Any) -> Any:
    """A deep copy made of exact JSON types, so that nothing of the hook's own runs when it is encoded.

    Raises:
        Unfit: NaN, a lone surrogate, NUL, an integer beyond 64 bits, a key that is no text, another type, too much.
    """
    return _copy(value, 0, [0])


def _copy(value: Any, depth: int, count: list[int]) -> Any:
    count[0] += 1
    if depth > MAX_DEPTH or count[0] > MAX_NODES:
        raise Unfit(f"a value nests deeper than {MAX_DEPTH} or has more than {MAX_NODES} parts")
    kind = type(value)
    if kind is dict:
        return {_key(key): _copy(item, depth + 1, count) for key, item in value.items()}
    if kind is list or kind is tuple:
        return [_copy(item, depth + 1, count) for item in value]
    return _scalar(value, kind)


def _scalar(value: Any, kind: type) -> Any:
    if value is None or kind is bool:
        return value
    if kind is str:
        return _text(value)
    if kind is int and -(2**63) <= value < 2**63:
        return value
    if kind is float and math.isfinite(value):
        return value
    raise Unfit(f"a {kind.__name__} of this value is not JSON")


def _key(key: Any) -> str:
    if type(key) is not str:
        raise Unfit("a key must be text")
    return _text(key)


def _text(text: str) -> str:
    if "\x00" not in text:
        if text.isascii():
            return text
        with suppress(UnicodeEncodeError):
            text.encode()
            return text
    raise Unfit("text holds NUL or a lone surrogate")


def size(value: Any) -> int:
    """Bytes of *value* as JSON."""
    return len(_ENCODER.encode(value).encode())


_ENCODER = json.JSONEncoder(ensure_ascii=False, separators=(",", ":"))
