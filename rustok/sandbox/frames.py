"""What a worker and a child say to each other: `u32 length | u8 kind | payload`, the payload nearly always JSON."""

import json
import math
import os
import struct
from collections.abc import Iterable, Mapping
from enum import IntEnum
from typing import Any, NoReturn

from rustok.sandbox.language.values import MAX_NODES

HEADER = struct.Struct("<IB")
MOST_DEPTH = 40
MOST_CALL_BYTES = 64 << 10
"""What a hook may ask with one call."""
MOST_CALL_NODES = MAX_NODES + 2
"""The parts of its arguments, and what is around them."""

_ENCODER = json.JSONEncoder(ensure_ascii=False, allow_nan=False, separators=(",", ":"))


class Kind(IntEnum):
    """To a child: code (raw), job, answer, source (UTF-8). From a child: the rest; bytecode is raw."""

    CODE = 1
    JOB = 2
    ANSWER = 3
    SOURCE = 4
    READY = 16
    CALL = 17
    LINE = 18
    RESULT = 19
    BYTECODE = 20
    FAULTS = 21


class Malformed(ValueError):
    """What came is no frame of ours."""


class TooLong(Malformed):
    """A frame of a kind that may come, but not with so many bytes."""

    def __init__(self, kind: Kind, length: int, most_bytes: int) -> None:
        super().__init__(f"a {kind.name} of {length} bytes; {most_bytes} are allowed")
        self.kind, self.length = kind, length


def frame(kind: Kind, payload: bytes) -> bytes:
    return HEADER.pack(len(payload), kind) + payload


def json_frame(kind: Kind, value: Any) -> bytes:
    """Encode *value*, which must be strict JSON.

    Raises:
        ValueError, TypeError: it is not.
    """
    return frame(kind, _ENCODER.encode(value).encode())


def header(data: bytes, most_bytes: Mapping[Kind, int]) -> tuple[int, Kind]:
    """Return length and kind, before anything is allocated for the payload; *most_bytes* has the kinds that may come.

    Raises:
        TooLong: the payload is longer than it may be.
        Malformed: it is none of these kinds.
    """
    length, number = HEADER.unpack(data)
    if number not in most_bytes:
        raise Malformed(f"a frame of kind {number}")
    kind = Kind(number)
    if length > most_bytes[kind]:
        raise TooLong(kind, length, most_bytes[kind])
    return length, kind


def decode(payload: bytes, most_nodes: int | None = None) -> Any:
    """Read strict JSON from a hostile sender. Without *most_nodes* there are no more parts than there are bytes.

    Raises:
        Malformed: it is not JSON; or it holds NaN, an infinity, a lone surrogate, NUL, an integer beyond 64 bits, a
            key twice; or it nests too deep or has too many parts.
    """
    try:
        value = _DECODER.decode(payload.decode())
    except (ValueError, RecursionError) as error:
        raise Malformed(f"no strict JSON: {type(error).__name__}") from None
    _check(value, len(payload) if most_nodes is None else most_nodes)
    return value


def _check(value: Any, most_nodes: int) -> None:
    """Walk level by level, without recursion."""
    level, depth, count = [value], 0, 0
    while level:
        depth, count = depth + 1, count + len(level)
        if depth > MOST_DEPTH or count > most_nodes:
            raise Malformed(f"a value nests deeper than {MOST_DEPTH} or has more than {most_nodes} parts")
        below: list[Any] = []
        for item in level:
            if type(item) is dict:
                below += item.values()
                _check_texts(item)
            elif type(item) is list:
                below += item
            else:
                _check_scalar(item)
        level = below


def _check_scalar(item: Any) -> None:
    kind = type(item)
    if kind is str:
        _check_texts((item,))
    elif kind is int and not -(2**63) <= item < 2**63:
        raise Malformed("an integer beyond 64 bits")
    elif kind is float and not math.isfinite(item):
        raise Malformed("a number that is not finite")


def _check_texts(texts: Iterable[str]) -> None:
    for text in texts:
        try:
            text.encode()
        except UnicodeEncodeError:
            raise Malformed("a lone surrogate") from None
        if "\x00" in text:
            raise Malformed("a NUL")


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    value = dict(pairs)
    if len(value) != len(pairs):
        raise Malformed("a key that is there twice")
    return value


def _refuse_constant(name: str) -> NoReturn:
    raise Malformed(f"{name} is not JSON")


_DECODER = json.JSONDecoder(object_pairs_hook=_object, parse_constant=_refuse_constant)


def read_frame(fd: int) -> tuple[int, bytes]:
    """Wait for a whole frame. Only a child reads so: it trusts who sends.

    Raises:
        EOFError: the other end is gone.
    """
    length, kind = HEADER.unpack(_read(fd, HEADER.size))
    return kind, _read(fd, length)


def _read(fd: int, length: int) -> bytes:
    parts = []
    while length:
        part = os.read(fd, length)
        if not part:
            raise EOFError
        parts.append(part)
        length -= len(part)
    return b"".join(parts)


def write_all(fd: int, data: bytes) -> None:
    rest = memoryview(data)
    while rest:
        rest = rest[os.write(fd, rest) :]
