"""What is known of one HTTP request beside its message: its ids, the code it failed with, what any answer tells."""

import re
from dataclasses import dataclass, field
from typing import Any
from uuid import UUID

from starlette.datastructures import Headers

from rustok.kernel.ids import trace_id_of, uuid7

_REQUEST_ID = re.compile(r"[A-Za-z0-9._-]{1,128}")
# W3C Trace Context, section 3.2: version ff and ids of zeros are invalid.
_TRACEPARENT = re.compile(r"(?!ff)[0-9a-f]{2}-(?!0{32})[0-9a-f]{32}-(?!0{16})[0-9a-f]{16}-[0-9a-f]{2}")
_KEY = "rustok.request"


@dataclass(slots=True)
class RequestRecord:
    """`correlation_id` is the root's id: the request id where that is a UUID, else one of our own.

    A chain of causes needs a UUID, and a client may name its requests as it likes; both are logged, so
    either one finds the other.
    """

    request_id: str
    correlation_id: UUID
    traceparent: str | None
    error_code: str | None = None
    headers: dict[str, str] = field(default_factory=dict)
    """What the answer says, whatever becomes of the request."""

    @property
    def trace_id(self) -> str | None:
        return trace_id_of(self.traceparent)


def new_record(scope: Any) -> RequestRecord:
    """Return the record of the request in *scope* and attach it there. Malformed ids are replaced, not refused."""
    headers = Headers(scope=scope)
    given = headers.get("x-request-id", "")
    request_id = given if _REQUEST_ID.fullmatch(given) else str(uuid7())
    traceparent = headers.get("traceparent", "")
    record = RequestRecord(
        request_id,
        _uuid(request_id) or uuid7(),
        traceparent if _TRACEPARENT.fullmatch(traceparent) else None,
    )
    scope[_KEY] = record
    return record


def record_of(scope: Any) -> RequestRecord:
    """Return the record that `new_record` attached."""
    record: RequestRecord = scope[_KEY]
    return record


def _uuid(text: str) -> UUID | None:
    try:
        return UUID(text)
    except ValueError:
        return None
