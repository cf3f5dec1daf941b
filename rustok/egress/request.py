"""A call as a caller asks for it, and as it goes on the wire once every rule was checked."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from rustok.egress.allow_list import AUTHORITY, AllowedHost, Origin
from rustok.egress.errors import HeaderNotAllowed, HostNotAllowed, RequestTooLarge, UrlNotAllowed

METHODS = frozenset({"GET", "POST", "PUT", "PATCH", "DELETE"})
URL_LIMIT = 8_192
HEADERS_LIMIT_BYTES = 16_384
BODY_LIMIT_BYTES = 262_144


@dataclass(frozen=True, slots=True, kw_only=True)
class OutgoingRequest:
    """One call. *allowed_hosts*: entries as `AllowedHost` reads them; the URL must fit one of them."""

    method: str
    url: str
    headers: Mapping[str, str]
    body: bytes
    allowed_hosts: Sequence[str]


@dataclass(frozen=True, slots=True)
class WireRequest:
    """What is sent: nothing in it is the caller's that was not checked."""

    origin: Origin
    method: str
    target: str
    headers: list[tuple[str, str]]
    body: bytes


def checked(request: OutgoingRequest) -> WireRequest:
    """Return *request* ready to be sent.

    Raises:
        EgressRefused: it breaks a rule.

    """
    if request.method not in METHODS:
        raise UrlNotAllowed(f"The method must be one of {', '.join(sorted(METHODS))}.")
    if len(request.body) > BODY_LIMIT_BYTES:
        raise RequestTooLarge(f"The body has {len(request.body)} bytes, at most {BODY_LIMIT_BYTES} are sent.")
    origin, target = _parse_url(request.url)
    allowed_hosts = [AllowedHost.parse(entry) for entry in request.allowed_hosts]
    if not any(allowed.admits(origin) for allowed in allowed_hosts):
        raise HostNotAllowed(f"{origin.scheme}://{origin.host}:{origin.port} is not in the allow-list.")
    framing = {"host": origin.authority, "connection": "close", "content-length": str(len(request.body))}
    headers = {**framing, **_DEFAULTS, **_checked_headers(request.headers)}
    return WireRequest(origin, request.method, target, list(headers.items()), request.body)


def _parse_url(url: str) -> tuple[Origin, str]:
    """Split *url* so that no two parsers could disagree about its host."""
    if len(url) > URL_LIMIT:
        raise RequestTooLarge(f"The URL has {len(url)} characters, at most {URL_LIMIT} are sent.")
    found = _URL.fullmatch(url)
    if found is None:
        raise UrlNotAllowed(
            "The URL must be http(s)://host[:port][/path][?query] in visible ASCII, without user name and fragment."
        )
    origin = Origin.of(found["scheme"].lower(), found["host"], found["port"])
    if origin is None:
        raise UrlNotAllowed("The URL's host must be a DNS name or an address in its canonical form, its port real.")
    return origin, (found["path"] or "/") + (found["query"] or "")


def _checked_headers(headers: Mapping[str, str]) -> dict[str, str]:
    """Return *headers* in lower case."""
    if sum(len(name) + len(value) + 4 for name, value in headers.items()) > HEADERS_LIMIT_BYTES:
        raise RequestTooLarge(f"The headers are larger than {HEADERS_LIMIT_BYTES} bytes.")
    lowered = {name.lower(): value for name, value in headers.items()}
    if len(lowered) < len(headers):
        raise HeaderNotAllowed("Two headers have names that differ in case only.")
    for name, value in headers.items():
        if not _TOKEN.fullmatch(name) or name.lower() in _OURS or name.lower().startswith("proxy-"):
            raise HeaderNotAllowed(f"The header {name!r:.80} is not the caller's to set, or has no valid name.")
        if not _VALUE.fullmatch(value):
            raise HeaderNotAllowed(f"The header {name} must have a value of visible ASCII.")
    return lowered


_URL = re.compile(
    rf"(?P<scheme>https?)://{AUTHORITY}(?P<path>/[!$-;=@-\[\]-~]*)?(?P<query>\?[!$-;=?-\[\]-~]*)?",
    re.IGNORECASE | re.ASCII,
)
_TOKEN = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")
_VALUE = re.compile(r"|[!-~](?:[\t -~]*[!-~])?")
_DEFAULTS = {"user-agent": "rustok", "accept": "*/*", "accept-encoding": "identity"}
_OURS = frozenset(
    {
        "connection",
        "content-length",
        "expect",
        "host",
        "http2-settings",
        "keep-alive",
        "te",
        "trailer",
        "transfer-encoding",
        "upgrade",
    }
)
"""Framing and hop-by-hop headers (RFC 9110, section 7.6.1): they belong to whoever makes the connection."""
