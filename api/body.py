"""Reads the body of a request: within limits of size and time, and as JSON only."""

import asyncio
from typing import Any, NamedTuple

from starlette.requests import ClientDisconnect, Request

from api.faults import BodyTooLarge, RequestTimeout, UnsupportedMediaType
from rustok.kernel.strict_json import NODES, parse_object

_MERGE_PATCH = "application/merge-patch+json"
_LARGE_BYTES = 1 << 17
_CHARSETS = frozenset({"charset=utf-8", 'charset="utf-8"'})


class BodyLimits(NamedTuple):
    size_bytes: int
    timeout_s: float
    """For the whole body: a slow client must not hold a request for longer."""
    values: int = NODES


async def read_fields(request: Request, limits: BodyLimits, *, optional: bool) -> dict[str, Any]:
    """Return the JSON object in the request's body; an empty one where the body is *optional* and missing.

    Raises:
        BodyTooLarge: nothing more of it was read.
        RequestTimeout: it did not arrive in time.
        UnsupportedMediaType: it is not declared as JSON.
        MalformedJson, InvalidInput: as `parse_object`.

    """
    raw = await _read(request, limits)
    if optional and not raw:
        return {}
    _check_media_type(request)
    if len(raw) > _LARGE_BYTES:  # others have their turn meanwhile
        return await asyncio.to_thread(parse_object, raw, limits.values)
    return parse_object(raw, limits.values)


async def _read(request: Request, limits: BodyLimits) -> bytes:
    announced = request.headers.get("content-length", "")
    if announced.isdecimal() and int(announced[:20]) > limits.size_bytes:
        raise _too_large(limits)
    try:
        async with asyncio.timeout(limits.timeout_s):
            return await _receive(request, limits)
    except TimeoutError:
        raise RequestTimeout(f"The body did not arrive within {limits.timeout_s:g} s: send it again.") from None


async def _receive(request: Request, limits: BodyLimits) -> bytes:
    """Return the body. Its size is counted as it arrives: a chunked body announces none."""
    body = bytearray()
    while True:
        message = await request.receive()
        if message["type"] == "http.disconnect":
            raise ClientDisconnect
        body += message.get("body", b"")
        if len(body) > limits.size_bytes:
            raise _too_large(limits)
        if not message.get("more_body", False):
            return bytes(body)


def _check_media_type(request: Request) -> None:
    name, *parameters = (part.strip().lower() for part in request.headers.get("content-type", "").split(";"))
    is_json = name == "application/json" or (name == _MERGE_PATCH and request.method == "PATCH")
    if not is_json or not _CHARSETS.issuperset(parameters):
        raise UnsupportedMediaType("Send the body as `Content-Type: application/json`, in UTF-8.")
    if request.headers.get("content-encoding", "identity").lower() != "identity":
        raise UnsupportedMediaType("Send the body without a Content-Encoding.")


def _too_large(limits: BodyLimits) -> BodyTooLarge:
    return BodyTooLarge(f"The body exceeds {limits.size_bytes} bytes: send less at a time.")
