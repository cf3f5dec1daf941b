"""Tells callers that an operation is to go: the headers Deprecation (RFC 9745), Sunset (RFC 8594) and Link."""

from collections.abc import Iterable
from datetime import UTC, date, datetime, time
from email.utils import format_datetime

from starlette.requests import Request

from api.record import record_of
from rustok.kernel.module import Command, Query

DOCS_PATH = "/docs"


def announce(request: Request, operations: Iterable[Command | Query]) -> None:
    """Give the answer to *request*, whatever it will be, the headers of the deprecated ones among its *operations*.

    Of several, the earliest dates count, and each has a link.
    """
    deprecations = {each.name: each.deprecation for each in operations if each.deprecation is not None}
    if not deprecations:
        return
    headers = record_of(request.scope).headers
    since = min(each.since for each in deprecations.values())
    headers["Deprecation"] = f"@{_midnight(since).timestamp():.0f}"
    headers["Link"] = ", ".join(f'<{DOCS_PATH}#{name}>; rel="deprecation"; type="text/html"' for name in deprecations)
    if sunsets := [each.sunset for each in deprecations.values() if each.sunset is not None]:
        headers["Sunset"] = format_datetime(_midnight(min(sunsets)), usegmt=True)


def _midnight(day: date) -> datetime:
    return datetime.combine(day, time(), UTC)
