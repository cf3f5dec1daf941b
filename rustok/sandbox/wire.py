"""What a worker and a zygote say to each other: records of one length each way; descriptors travel with them."""

import struct
from collections.abc import Collection
from enum import IntEnum
from functools import cache
from typing import NamedTuple

from rustok.sandbox.layers import LAYERS

REQUEST = struct.Struct("<IIQII?")
_NOTICE = struct.Struct("<IIIiQQ")
NOTICE_BYTES = _NOTICE.size

OUT_OF_MEMORY_EXIT, BROKEN_EXIT = 71, 72
"""How a child ends that cannot even say so; and one that could not be locked down."""


class What(IntEnum):
    """booted: `number` holds layers. forked: the child's socket and pidfd come along. exited: how, and what it used."""

    BOOTED = 1
    FORKED = 2
    EXITED = 3


class Request(NamedTuple):
    """Fork a child. `probe` is None for one that serves; in a `hurry`, as a run waits for it, it does not warm up."""

    number: int
    cpu_ms: int
    memory_bytes: int
    layers: Collection[str]
    probe: str | None
    hurry: bool

    def pack(self) -> bytes:
        probe = LAYERS.index(self.probe) + 1 if self.probe else 0
        return REQUEST.pack(self.number, self.cpu_ms, self.memory_bytes, mask(self.layers), probe, self.hurry)

    @classmethod
    def unpack(cls, data: bytes) -> "Request":
        number, cpu_ms, memory_bytes, layers, probe, hurry = REQUEST.unpack(data)
        return cls(number, cpu_ms, memory_bytes, layers_of(layers), LAYERS[probe - 1] if probe else None, hurry)


class Notice(NamedTuple):
    """`number` is that of the request; `status` as wait(2) has it; `pid` in the namespace of the zygote."""

    what: int
    number: int
    pid: int = 0
    status: int = 0
    cpu_us: int = 0
    peak_bytes: int = 0

    def pack(self) -> bytes:
        return _NOTICE.pack(*self)

    @classmethod
    def unpack(cls, data: bytes) -> "Notice":
        return cls(*_NOTICE.unpack(data))


def mask(layers: Collection[str]) -> int:
    return sum(1 << position for position, layer in enumerate(LAYERS) if layer in layers)


@cache
def layers_of(bits: int) -> frozenset[str]:
    return frozenset(layer for position, layer in enumerate(LAYERS) if bits >> position & 1)
