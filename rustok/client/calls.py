"""A request of the API until it has an answer: attempts, waits, credentials, and what stands for no answer."""

import asyncio
import logging
from collections.abc import Mapping
from dataclasses import dataclass, field
from http import HTTPStatus
from typing import Any

import httpx2
import msgspec

from rustok.client.credentials import Credentials
from rustok.client.headers import header_text
from rustok.client.problems import CallFailed, NoAnswer, Problem, ProblemDocument, Unauthenticated, problem_of
from rustok.client.retries import Retries

_log = logging.getLogger("rustok.client")

_FOR_NOW = frozenset({HTTPStatus.BAD_GATEWAY, HTTPStatus.SERVICE_UNAVAILABLE, HTTPStatus.GATEWAY_TIMEOUT})
_read_problem = msgspec.json.Decoder(ProblemDocument).decode


@dataclass(frozen=True, slots=True)
class Request:
    """What is sent on each attempt, always the same.

    `is_repeatable`: it may be sent again though an earlier attempt may have been done, as the server tells it from a
    new one or it changes nothing. `patience_s`: seconds that the server is allowed beyond the timeout.
    """

    operation: str
    method: str
    path: str
    is_repeatable: bool
    query: Mapping[str, Any] | None = None
    content: bytes | None = field(default=None, repr=False)
    headers: dict[str, str] = field(default_factory=dict, repr=False)
    patience_s: float = 0.0


class Calls:
    """Sends requests to the API at *base_url*."""

    def __init__(
        self,
        http: httpx2.AsyncClient,
        base_url: str,
        credentials: Credentials,
        retries: Retries,
        tenant: str | None = None,
    ) -> None:
        self._http = http
        self._base_url = base_url.rstrip("/")
        self._credentials = credentials
        self._retries = retries
        self._headers = {} if tenant is None else {"X-Tenant": header_text("tenant", tenant)}
        self._deprecated: set[str] = set()

    async def send(self, request: Request) -> httpx2.Response:
        """Return the answer, a successful one, after as many attempts as are allowed and safe.

        Raises:
            CallFailed: the last attempt's failure.

        """
        clock = asyncio.get_running_loop().time
        deadline_s = clock() + self._retries.budget_s
        may_be_done = has_renewed = False
        number = 0
        while True:
            number += 1
            authorization = await self._credentials.header()
            timeout_s = min(self._retries.timeout_s + request.patience_s, deadline_s - clock())
            try:
                return await self._try(request, authorization, timeout_s)
            except CallFailed as failure:
                failure.attempts = number
                may_be_done |= (failure.may_be_done or _is_under_way(failure)) and request.method != "GET"
                failure.may_be_done = may_be_done
                if isinstance(failure, Unauthenticated) and not has_renewed:
                    has_renewed = await self._renew(request, authorization, may_be_done=may_be_done)
                    if has_renewed:
                        continue
                wait_s = self._retries.wait_s(number, failure.retry_after_s)
                is_safe = request.is_repeatable or not may_be_done
                is_within = number < self._retries.attempts and clock() + wait_s < deadline_s
                if not (failure.retryable and is_safe and is_within):
                    raise
            await asyncio.sleep(wait_s)

    async def _renew(self, request: Request, refused: str | None, *, may_be_done: bool) -> bool:
        """Have another token; a failure does not hide that an earlier attempt may have been done."""
        try:
            return await self._credentials.renew(refused)
        except Exception as error:
            if may_be_done:
                reason = f"no other token: {type(error).__name__}"
                raise NoAnswer(request.operation, reason, may_be_done=True) from error
            raise

    async def _try(self, request: Request, authorization: str | None, timeout_s: float) -> httpx2.Response:
        headers = {**self._headers, **request.headers}
        if authorization is not None:
            headers["Authorization"] = authorization
        try:
            async with asyncio.timeout(timeout_s):
                response = await self._http.request(
                    request.method,
                    f"{self._base_url}{request.path}",
                    params=request.query,
                    content=request.content,
                    headers=headers,
                    timeout=None,
                    follow_redirects=False,  # what is sent is for this host alone
                )
        except (httpx2.ConnectError, httpx2.ProxyError) as error:
            raise NoAnswer(request.operation, f"cannot connect: {error}", may_be_done=False) from error
        except TimeoutError as error:
            raise NoAnswer(request.operation, f"no answer within {timeout_s:.1f} s", may_be_done=True) from error
        except httpx2.HTTPError as error:
            reason = f"the connection broke: {error or type(error).__name__}"
            raise NoAnswer(request.operation, reason, may_be_done=True) from error
        if "Deprecation" in response.headers:
            self._tell_of_deprecation(request.operation, response)
        if response.is_success:
            return response
        raise _failure(request, response)

    def _tell_of_deprecation(self, operation: str, response: httpx2.Response) -> None:
        if operation not in self._deprecated:
            self._deprecated.add(operation)
            gone = response.headers.get("Sunset", "a day that is not known yet")
            _log.warning("%s is to go, on %s: %s", operation, gone, response.headers.get("Link", ""))


def _failure(request: Request, response: httpx2.Response) -> CallFailed:
    """Return what is to be raised for an answer that is no success."""
    try:
        document = _read_problem(response.content)
    except (ValueError, RecursionError):  # somebody on the way has answered
        status = response.status_code
        document = ProblemDocument(
            status=status, code="unknown", detail=response.reason_phrase, retryable=status in _FOR_NOW
        )
    failure = problem_of(request.operation, document)
    failure.retry_after_s = _seconds(response.headers.get("Retry-After", ""))
    return failure


def _is_under_way(failure: CallFailed) -> bool:
    """Tell whether a request with this key runs at this moment."""
    return isinstance(failure, Problem) and failure.code == "request_in_progress"


def _seconds(text: str) -> float:
    """Return what Retry-After says in seconds; a date, which this API never sends, counts as none."""
    return float(text) if text.isascii() and text.isdigit() else 0.0
