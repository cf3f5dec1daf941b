"""Where payloads are read."""

import threading

from rustok.sandbox.aside import read_aside


def _thread(_payload: bytes) -> int:
    return threading.get_ident()


async def test_a_large_payload_is_read_on_another_thread() -> None:
    """The loop serves other runs meanwhile."""
    assert await read_aside(bytes(64 << 10), _thread) != threading.get_ident()


async def test_a_small_payload_is_read_at_once() -> None:
    """To change threads would take longer than to read it."""
    assert await read_aside(bytes(1000), _thread) == threading.get_ident()
