"""Whose calls they are."""

import asyncio
from collections.abc import Awaitable, Callable

from rustok.client.headers import header_text

TokenSource = Callable[[], Awaitable[str]]
"""Returns a valid token, always of the same principal: asked before the first call, and again after a 401.

Keys of commands count for one principal: with the token of another a repetition would be a second write.
"""


class Credentials:
    """The header Authorization, out of a token, or of somebody who is asked for one; none for a visitor."""

    def __init__(self, token: str | TokenSource | None) -> None:
        self._source = token if callable(token) else None
        self._header = _bearer(token) if isinstance(token, str) else None
        self._asking = asyncio.Lock()

    async def header(self) -> str | None:
        """Return the header to send. Whatever a source of tokens raises is raised."""
        if self._header is None:
            await self.renew(None)
        return self._header

    async def renew(self, refused: str | None) -> bool:
        """Have another header than the *refused* one, where that can be; calls at the same time ask once.

        Returns:
            Whether there is a source that was asked: then the call is worth repeating.

        """
        if self._source is None:
            return False
        async with self._asking:
            if self._header == refused:
                self._header = _bearer(await self._source())
        return True


def _bearer(token: str) -> str:
    return f"Bearer {header_text('a token', token)}"
