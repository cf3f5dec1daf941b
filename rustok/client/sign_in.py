"""Signs a user in, and keeps the session: a source of tokens for `RustokClient`."""

from dataclasses import replace
from types import TracebackType
from typing import Self

import httpx2
import msgspec

from rustok.client.answers import read_as
from rustok.client.calls import Calls, Request
from rustok.client.credentials import Credentials
from rustok.client.problems import CallFailed, Unauthenticated
from rustok.client.retries import Retries

_DEFAULT_RETRIES = Retries()
_PATH = "/api/v1/access/sessions"
# The server takes a refresh token again for 10 s; sent later, a repetition looks like theft and ends the session.
_REFRESH_TIMEOUT_S = 4.0
_REFRESH_BUDGET_S = 8.0


class _Tokens(msgspec.Struct, frozen=True):
    access_token: str
    refresh_token: str
    device: str | None = None
    """Answered to a password."""


class SignIn:
    """The `token` of a client that acts for a user of *tenant* (slug or id), who has a password.

    Use it as an async context manager. It signs in when a token is first needed, refreshes the session when one is
    refused, and signs in again where the session has ended, or nobody knows whether it was refreshed. It raises what
    the API answers: `Unauthenticated` where there is no such user and password. `device` is answered to the password
    and sent with the next one, so that nobody keeps the user out by wrong ones; keep it for the next `SignIn` of the
    user. `http` is a client of your own; it is left open. Leaving the context closes the connections, and leaves the
    session as it is: `sign_out` ends it.
    """

    def __init__(
        self,
        base_url: str,
        email: str,
        password: str,
        *,
        tenant: str,
        device: str | None = None,
        retries: Retries = _DEFAULT_RETRIES,
        http: httpx2.AsyncClient | None = None,
    ) -> None:
        self._user = {"email": email, "password": password}
        self.device = device
        self._is_mine = http is None
        self._http = http or httpx2.AsyncClient()
        self._calls = Calls(self._http, base_url, Credentials(None), retries, tenant)
        hurried = replace(
            retries,
            timeout_s=min(retries.timeout_s, _REFRESH_TIMEOUT_S),
            budget_s=min(retries.budget_s, _REFRESH_BUDGET_S),
        )
        self._refreshes = Calls(self._http, base_url, Credentials(None), hurried, tenant)
        self._tokens: _Tokens | None = None
        self._may_refresh = False

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

    async def __call__(self) -> str:
        """Return an access token that has not been refused yet."""
        self._tokens = await self._next()
        self._may_refresh = True
        return self._tokens.access_token

    async def sign_out(self) -> None:
        """End the session, and close the connections."""
        try:
            if self._tokens is not None:
                await self._calls.send(_request("close", "/sign-out", {"refresh_token": self._tokens.refresh_token}))
                self._tokens = None
        finally:
            await self.close()

    async def _next(self) -> _Tokens:
        if self._tokens is not None and self._may_refresh:
            refresh = _request("refresh", "/refresh", {"refresh_token": self._tokens.refresh_token})
            try:
                return await _tokens(self._refreshes, refresh)
            except Unauthenticated:
                self._tokens = None
            except CallFailed as failure:
                self._may_refresh = not failure.may_be_done
                raise
        tokens = await _tokens(self._calls, _request("open", "", {**self._user, "device": self.device}))
        self.device = tokens.device
        return tokens


async def _tokens(calls: Calls, request: Request) -> _Tokens:
    return read_as(request.operation, (await calls.send(request)).content, _Tokens, may_be_done=True)


def _request(verb: str, path: str, body: dict[str, str | None]) -> Request:
    """Return a request that may be repeated: a refresh gets the same answer for a while, two sessions do no harm."""
    headers = {"Content-Type": "application/json"}
    operation = f"access.sessions.{verb}"
    return Request(operation, "POST", _PATH + path, True, content=msgspec.json.encode(body), headers=headers)
