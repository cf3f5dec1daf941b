"""Whose calls they are."""

import asyncio
from collections.abc import Awaitable, Callable

from rustok.client.headers import header_text
from rustok.client.problems import CallFailed

TokenSource = Callable[[], Awaitable[str]]
"""Returns a valid token, always of the same principal: asked before the first call, and again after a 401.

Keys of commands count for one principal: with the token of another a repetition would be a second write.
"""


class Credentials:
    """The header Authorization, out of a token, or of somebody who is asked for one; none for a visitor."""

    def __init__(self, token: str | TokenSource | None) -> None:
        self._source = token if callable(token) else None
        self._header = _bearer(token) if isinstance(token, str) else None
        self._asking: asyncio.Future[str] | None = None

    async def header(self) -> str | None:
        """Return the header to send. Whatever a source of tokens raises is raised."""
        if self._header is None:
            await self.renew(None)
        return self._header

    async def renew(self, refused: str | None) -> bool:
        """Have another header than the *refused* one, where that can be; calls at the same time ask once.

        Whatever the source raises is raised, to all of them.

        Returns:
            Whether there is a source that was asked: then the call is worth repeating.

        """
        if self._source is None:
            return False
        if self._header == refused:
            if self._asking is None:
                self._asking = asyncio.ensure_future(self._ask(self._source))
                self._asking.add_done_callback(self._asked)
            self._header = _bearer(await asyncio.shield(self._asking))
        return True

    async def _ask(self, source: TokenSource) -> str:
        try:
            return await source()
        except CallFailed as failure:
            failure.may_be_done = False  # what the token was asked for has not been sent
            raise

    def _asked(self, asking: asyncio.Future[str]) -> None:
        self._asking = None
        if not asking.cancelled():
            asking.exception()  # nobody may be waiting for it any more


def _bearer(token: str) -> str:
    return f"Bearer {header_text('a token', token)}"
