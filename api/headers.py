"""Headers that carry a meaning of ours: versions, idempotency keys, credentials, pages."""

import re
from urllib.parse import quote, urlencode

from starlette.requests import Request

from api.faults import InvalidHeader
from rustok.db.unit_of_work import ABSENT
from rustok.kernel.errors import VersionMismatch
from rustok.kernel.module import PageLinks

# A strong entity tag (RFC 9110, section 8.8.3) of ours: a version, which PostgreSQL keeps in 64 bits.
_VERSION_TAG = re.compile(r'"([1-9][0-9]{0,17})"')
_HOST = re.compile(r"([a-z0-9.-]*[a-z0-9-])\.?(?::[0-9]*)?")
_IDEMPOTENCY_KEY = re.compile(r"[\x20-\x7e]{1,255}")


def entity_tag(version: int) -> str:
    return f'"{version}"'


def expected_version(request: Request) -> int | None:
    """Return the version in If-Match, or ABSENT for `If-None-Match: *`; None without either header.

    Raises:
        InvalidHeader: If-Match is not one strong tag of ours (`*` would not say what the caller has seen), or
            If-None-Match is anything but `*`, which on a write would say no more than If-Match does.
        VersionMismatch: there are both, and nothing is at a version and absent at once.

    """
    seen, unseen = _only(request, "if-match"), _only(request, "if-none-match")
    tag = _VERSION_TAG.fullmatch(seen or "")
    if seen is not None and tag is None:
        raise InvalidHeader('If-Match must be one strong ETag that this API sent, such as "3".')
    if unseen not in (None, "*"):
        raise InvalidHeader("If-None-Match must be * on a write.")
    if tag and unseen:
        raise VersionMismatch("Nothing is at a version and absent at once: send If-Match or If-None-Match.")
    return int(tag[1]) if tag else ABSENT if unseen else None


def is_unchanged(request: Request, tag: str) -> bool:
    """Tell whether If-None-Match names *tag*, by weak comparison (RFC 9110, section 13.1.2)."""
    given = ",".join(request.headers.getlist("if-none-match")).split(",")
    return any(candidate.strip().removeprefix("W/") in (tag, "*") for candidate in given)


def page_links(request: Request, links: PageLinks) -> dict[str, str]:
    """Return the header that has the pages around this one as they are asked for: Link (RFC 8288)."""
    path = quote(request.scope["path"])
    others = [(name, value) for name, value in request.query_params.multi_items() if name != "after"]
    found = [
        f'<{path}?{urlencode([*others, ("after", cursor)])}>; rel="{relation}"'
        for relation, cursor in links
        if cursor is not None
    ]
    return {"Link": ", ".join(found)} if found else {}


def idempotency_key(request: Request) -> str | None:
    """Return the Idempotency-Key; None without the header, and for a method that is idempotent anyway.

    Raises:
        InvalidHeader: it is not 1 to 255 printable ASCII characters.

    """
    text = _only(request, "idempotency-key") if request.method == "POST" else None
    if text is not None and not is_idempotency_key(text):
        raise InvalidHeader("Idempotency-Key must be 1 to 255 printable ASCII characters.")
    return text


def is_idempotency_key(text: str) -> bool:
    return _IDEMPOTENCY_KEY.fullmatch(text) is not None


def bearer_token(request: Request) -> str:
    """Return the token in Authorization; an empty text, which is nobody's, where there is none."""
    given = request.headers.getlist("authorization")
    scheme, _, token = given[0].partition(" ") if len(given) == 1 else ("", "", "")
    return token.strip() if scheme.lower() == "bearer" else ""


def named_tenant(request: Request) -> str | None:
    """Return what X-Tenant says; None without the header. Raises InvalidHeader when it is sent twice."""
    return _only(request, "x-tenant")


def host_name(request: Request) -> str:
    """Return the name in Host, in lower case, without port and without a dot at its end; empty where there is none.

    Raises:
        InvalidHeader: the header is sent twice.

    """
    host = _HOST.fullmatch((_only(request, "host") or "").lower())
    return host[1] if host else ""


def _only(request: Request, name: str) -> str | None:
    values = request.headers.getlist(name)
    if len(values) > 1:
        raise InvalidHeader(f"{name} must be sent once.")
    return values[0].strip() if values else None
