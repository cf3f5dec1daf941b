"""What every request gets: ids in its logs, a line in the log, a measurement, headers, and always an answer."""

from collections.abc import Mapping
from http import HTTPMethod
from typing import Any

import structlog
from starlette.datastructures import MutableHeaders
from starlette.requests import ClientDisconnect
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from api.errors import internal_error
from api.record import new_record, record_of
from rustok.kernel.ports import Clock
from rustok.telemetry.logging import chain_of
from rustok.telemetry.metrics import HTTP_REQUEST_SECONDS

log = structlog.get_logger(__name__)

_CLIENT_CLOSED = 499
"""What logs and metrics show where nobody waited for an answer (the number is nginx's)."""
_METHODS = frozenset(HTTPMethod)
_BOUND = ("request_id", "correlation_id", "trace_id", "tenant")
SECURITY: Mapping[str, str] = {
    "X-Content-Type-Options": "nosniff",
    "Cache-Control": "no-store",
    "Referrer-Policy": "no-referrer",
    "Content-Security-Policy": "default-src 'none'; frame-ancestors 'none'",
}


class Observed:
    """Gives a request its ids and headers, and logs and measures how it ended."""

    def __init__(self, app: ASGIApp, clock: Clock) -> None:
        self._app = app
        self._clock = clock

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        record = new_record(scope)
        status = _CLIENT_CLOSED
        started_s = self._clock.monotonic_s()

        async def send_with_headers(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
                headers = MutableHeaders(scope=message)
                headers["X-Request-Id"] = record.request_id
                for name, value in SECURITY.items():
                    headers.setdefault(name, value)
                for name, value in record.headers.items():
                    headers.append(name, value)
            await send(message)

        structlog.contextvars.bind_contextvars(request_id=record.request_id, **chain_of(record))
        try:
            await self._app(scope, receive, send_with_headers)
        finally:
            self._finished(scope, status, self._clock.monotonic_s() - started_s)
            structlog.contextvars.unbind_contextvars(*_BOUND)

    def _finished(self, scope: Scope, status: int, duration_s: float) -> None:
        method = scope["method"] if scope["method"] in _METHODS else "other"
        route = getattr(scope.get("route"), "path", "unmatched")
        HTTP_REQUEST_SECONDS.labels(method, route, str(status)).observe(duration_s)
        fields: dict[str, Any] = {"code": code} if (code := record_of(scope).error_code) else {}
        log.info(
            "http_request_finished",
            method=method,
            route=route,
            status=status,
            duration_ms=round(duration_s * 1000, 1),
            **fields,
        )


class Guarded:
    """Answers 500 to what nobody expected, and logs it, once, with its traceback."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        is_answered = False

        async def watched_send(message: Message) -> None:
            nonlocal is_answered
            is_answered = True
            await send(message)

        try:
            await self._app(scope, receive, watched_send)
        except ClientDisconnect:
            return
        except Exception:
            if is_answered:  # too late for another answer: the server must break the connection
                raise
            log.exception("http_request_crashed")
            await internal_error(record_of(scope))(scope, receive, send)
