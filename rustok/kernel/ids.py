"""UUID version 7 (RFC 9562): ids that sort by the time they were made."""

import secrets
import threading
import time
from uuid import UUID

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
