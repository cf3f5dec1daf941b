"""Errors as RFC 9457 problems: the only place that knows HTTP statuses."""

import inspect
from collections.abc import Mapping
from typing import Any, cast
from urllib.parse import quote

import orjson
import structlog
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response

from api import faults
from api.record import RequestRecord, record_of
from rustok.db.failures import describe
from rustok.kernel import errors
from rustok.kernel.strict_json import MalformedJson
from rustok.modules.access import SignInBlocked

log = structlog.get_logger(__name__)

MEDIA_TYPE = "application/problem+json"
DOCS_PATH = "/docs/errors"

_STATUSES: Mapping[type[errors.RustokError], int] = {
    faults.BadRequest: 400,
    MalformedJson: 400,
    errors.Unauthenticated: 401,
    errors.Forbidden: 403,
    errors.NotFound: 404,
    errors.ModuleOff: 404,
    faults.MethodNotAllowed: 405,
    faults.RequestTimeout: 408,
    errors.Conflict: 409,
    errors.Busy: 409,
    errors.Gone: 410,
    errors.VersionMismatch: 412,
    faults.BodyTooLarge: 413,
    faults.UnsupportedMediaType: 415,
    errors.InvalidInput: 422,
    errors.VersionRequired: 428,
    faults.HeadTooLarge: 431,
    faults.RateLimited: 429,
    SignInBlocked: 429,
    faults.TooManyWrites: 429,
    errors.Unavailable: 503,
    errors.RustokError: 500,
}
# What was not read of a body would be taken for the next request, or be waited for.
_CLOSE = {"Connection": "close"}
_HEADERS: Mapping[type[errors.RustokError], Mapping[str, str]] = {
    errors.Unauthenticated: {"WWW-Authenticate": "Bearer"},
    errors.Busy: {"Retry-After": "1"},
    errors.Unavailable: {"Retry-After": "1"},
    faults.RequestTimeout: _CLOSE,
    faults.BodyTooLarge: _CLOSE,
}
_ROUTER_FAULTS = {
    404: faults.RouteNotFound("There is no such route: /api/openapi.json lists them."),
    405: faults.MethodNotAllowed("This route has other methods: see the Allow header."),
}
INTERNAL = faults.InternalError("Something went wrong here. The log has it under this request_id.")
_SERVER_ERROR = 500
_LISTED = 100
"""Faults that a problem lists at most."""
_POINTER_LIMIT = 300
"""Characters of a pointer: a client's own name for an unknown field may be as long as the body."""


def status_of(kind: type[errors.RustokError]) -> int:
    """Return the HTTP status of an error class: its own kind's, or the nearest base's."""
    return next(_STATUSES[base] for base in kind.__mro__ if base in _STATUSES)


def title_of(kind: type[errors.RustokError]) -> str:
    """Return the sentence that describes every error of this class."""
    return (inspect.getdoc(kind) or kind.code).split("\n", 1)[0]


def problem_members(kind: type[errors.RustokError], detail: str) -> dict[str, Any]:
    """Return the members of a problem that do not depend on the request."""
    return {
        "type": f"{DOCS_PATH}#{kind.code}",
        "title": title_of(kind),
        "status": status_of(kind),
        "detail": detail,
        "code": kind.code,
        "retryable": kind.retryable,
    }


def problem(error: errors.RustokError, record: RequestRecord, headers: Mapping[str, str] | None = None) -> Response:
    """Return *error* as an answer."""
    record.error_code = error.code
    members = problem_members(type(error), str(error))
    members |= {"request_id": record.request_id, "trace_id": record.trace_id, "errors": violations_of(error)}
    return Response(
        orjson.dumps(members),
        members["status"],
        {**_headers(error), **(headers or {})},
        media_type=MEDIA_TYPE,
    )


async def on_error(request: Request, error: Exception) -> Response:
    """Answer an error with a code; those that are not the caller's are logged with their cause."""
    fault = cast("errors.RustokError", error)
    status = status_of(type(fault))
    if status == _SERVER_ERROR:
        raise error  # no kind that a caller could act on: a defect
    if status > _SERVER_ERROR:
        cause = describe(fault.__cause__) if fault.__cause__ else None
        log.warning("http_request_failed", code=fault.code, cause=cause)
    return problem(fault, record_of(request.scope))


async def on_http_exception(request: Request, error: Exception) -> Response:
    """Answer what the router refuses."""
    refusal = cast("HTTPException", error)
    fault = _ROUTER_FAULTS.get(refusal.status_code) or faults.BadRequest("The request cannot be served.")
    headers = {name: ", ".join(sorted(value.split(", "))) for name, value in (refusal.headers or {}).items()}
    return problem(fault, record_of(request.scope), headers)


def internal_error(record: RequestRecord) -> Response:
    """Answer an exception that nobody expected; nothing of it is told."""
    return problem(INTERNAL, record)


def _headers(error: errors.RustokError) -> Mapping[str, str]:
    if isinstance(error, (faults.RateLimited, faults.TooManyWrites, faults.Overloaded, SignInBlocked)):
        return {"Retry-After": str(error.retry_after_s)}
    return next((_HEADERS[base] for base in type(error).__mro__ if base in _HEADERS), {})


def violations_of(error: errors.RustokError) -> list[dict[str, str]]:
    """Return the faults that *error* names, as members of a problem."""
    violations = getattr(error, "violations", ())
    return [
        {"pointer": _fragment(fault.pointer), "code": fault.code, "detail": fault.detail}
        for fault in violations[:_LISTED]
    ]


def _fragment(pointer: str) -> str:
    """Return a JSON Pointer as a URI fragment (RFC 6901, section 6)."""
    return "#" + quote(pointer[:_POINTER_LIMIT], safe="/~!$&'()*+,;=:@?")
