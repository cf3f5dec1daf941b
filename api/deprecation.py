"""Tells callers that an operation is to go: the headers Deprecation (RFC 9745), Sunset (RFC 8594) and Link."""

from datetime import UTC, date, datetime, time
from email.utils import format_datetime

from starlette.requests import Request

from api.record import record_of
from rustok.kernel.module import Command, Query

DOCS_PATH = "/docs"


def announce(request: Request, operation: Command | Query) -> None:
    """Give the answer to *request*, whatever it will be, the headers of a deprecated *operation*."""
    deprecation = operation.deprecation
    if deprecation is None:
        return
    headers = record_of(request.scope).headers
    headers["Deprecation"] = f"@{_midnight(deprecation.since).timestamp():.0f}"
    headers["Link"] = f'<{DOCS_PATH}#{operation.name}>; rel="deprecation"; type="text/html"'
    if deprecation.sunset is not None:
        headers["Sunset"] = format_datetime(_midnight(deprecation.sunset), usegmt=True)


def _midnight(day: date) -> datetime:
    return datetime.combine(day, time(), UTC)
