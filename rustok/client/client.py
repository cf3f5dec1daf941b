"""The client: one tenant's view of a RusToK API."""

from types import TracebackType
from typing import Self
from urllib.parse import urlsplit

import httpx2

from rustok.client.calls import Calls
from rustok.client.consistency import Conversation, ReadYourWrites
from rustok.client.credentials import Credentials, TokenSource
from rustok.client.modules import Modules
from rustok.client.retries import Retries

_DEFAULT_RETRIES = Retries()
_DEFAULT_READS = ReadYourWrites()


class RustokClient(Modules):
    """An async client of the HTTP API, for one credential and so for one tenant; use it as an async context manager.

    `token` is an API key, or an async function that returns a token and is asked again after a 401; None is a visitor
    of the storefront of `tenant` (slug or id). With `read_your_writes=None` searches show what the index has already.
    `http` is a client of your own, for proxies, certificates or limits; it is left open.

    Operations raise `CallFailed`: `Problem` for what the API answers, `NoAnswer` without one.
    """

    def __init__(
        self,
        base_url: str,
        token: str | TokenSource | None = None,
        *,
        tenant: str | None = None,
        retries: Retries = _DEFAULT_RETRIES,
        read_your_writes: ReadYourWrites | None = _DEFAULT_READS,
        http: httpx2.AsyncClient | None = None,
    ) -> None:
        if urlsplit(base_url).scheme not in {"http", "https"}:
            raise ValueError("base_url must begin with http:// or https://")
        self._is_mine = http is None
        self._http = http or httpx2.AsyncClient()
        calls = Calls(self._http, base_url, Credentials(token), retries, tenant)
        super().__init__(Conversation(calls, read_your_writes))

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.close()

    async def close(self) -> None:
        """Close the connections."""
        if self._is_mine:
            await self._http.aclose()
