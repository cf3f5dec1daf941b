"""Reads what is large on another thread, so that the loop can serve its other runs meanwhile."""

import asyncio
from collections.abc import Callable
from typing import TypeVar

_T = TypeVar("_T")

_LARGE_BYTES = 8 << 10
"""A hostile payload of this size takes about a millisecond to decode."""


async def read_aside(payload: bytes, read: Callable[[bytes], _T]) -> _T:
    """Return what *read* makes of *payload*."""
    if len(payload) > _LARGE_BYTES:
        return await asyncio.to_thread(read, payload)
    return read(payload)
