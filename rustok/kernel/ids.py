"""Ids that sort by the time they were made: UUID version 7, and version 8 where one follows from another (RFC 9562)."""

import secrets
import threading
import time
from uuid import UUID, uuid5

_NANOSECONDS_A_MILLISECOND = 1_000_000
_lock = threading.Lock()
_last = 0


def uuid7() -> UUID:
    """Return a new id, strictly greater than every id this process made before.

    48 bits of Unix milliseconds and 12 bits of sub-millisecond fraction (RFC 9562 section 6.2, method 3),
    then 62 random bits.
    """
    global _last  # noqa: PLW0603 - monotonicity is a property of the process
    milliseconds, nanoseconds = divmod(time.time_ns(), _NANOSECONDS_A_MILLISECOND)
    stamp = milliseconds << 12 | (nanoseconds << 12) // _NANOSECONDS_A_MILLISECOND
    with _lock:
        _last = stamp = max(stamp, _last + 1)
    random = secrets.randbits(62)
    return UUID(int=(stamp >> 12) << 80 | 0x7 << 76 | (stamp & 0xFFF) << 64 | 0b10 << 62 | random)


def trace_id_of(traceparent: str | None) -> str | None:
    """Return the id of the trace in a well-formed `traceparent` (W3C Trace Context)."""
    return traceparent.split("-")[1] if traceparent else None


def derived_id(parent: UUID, name: str) -> UUID:
    """Return the id of *name* below *parent*: always the same, and of the time of *parent*, an id of this module.

    The first 64 bits are those of *parent*, but for the version; 62 bits are a hash of both (RFC 9562 section 5.8).
    """
    time_bits = parent.int >> 64 & ~0xF000 | 0x8000
    return UUID(int=time_bits << 64 | 0b10 << 62 | uuid5(parent, name).int & (1 << 62) - 1)
