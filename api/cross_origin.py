"""Lets pages of other origins call the API from a browser (CORS, in the Fetch standard)."""

import re

from starlette.middleware import Middleware
from starlette.middleware.cors import CORSMiddleware

from api.consistency import FRESHNESS, TOKEN
from rustok.kernel.errors import Misconfigured

_HOST = r"([a-z0-9-]+(\.[a-z0-9-]+)*|\[[0-9a-f:]+\])"
_ORIGIN = re.compile(rf"http://{_HOST}(:(?!80$)[1-9][0-9]*)?|https://{_HOST}(:(?!443$)[1-9][0-9]*)?")
_METHODS = ("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE")
_ASKED_WITH = (
    "Authorization",
    "Idempotency-Key",
    "If-Match",
    "If-None-Match",
    "Prefer",
    TOKEN,
    "traceparent",
    "X-Request-Id",
    "X-Tenant",
)
_ANSWERED_WITH = (
    "Allow",
    "Deprecation",
    "ETag",
    "Idempotent-Replayed",
    "Link",
    "Location",
    "Preference-Applied",
    "RateLimit",
    "RateLimit-Policy",
    "Retry-After",
    FRESHNESS,
    TOKEN,
    "Sunset",
    "WWW-Authenticate",
    "X-Request-Id",
)


def parse_origins(text: str | None) -> tuple[str, ...]:
    """Return the origins of the setting RUSTOK_ALLOWED_ORIGINS, a list with commas.

    Raises:
        Misconfigured: one does not have the form in which browsers send it, which is compared letter by letter.

    """
    origins = tuple(part.strip() for part in (text or "").split(",") if part.strip())
    for number, origin in enumerate(origins, 1):
        if _ORIGIN.fullmatch(origin) is None:
            raise Misconfigured(
                f"RUSTOK_ALLOWED_ORIGINS: number {number} is no origin as browsers send it: write such as "
                "https://shop.example.com or http://localhost:3000, in lower case, without a path, without the port "
                "that goes without saying. There is no wildcard."
            )
    return origins


def cross_origin(origins: tuple[str, ...]) -> list[Middleware]:
    """Return what answers browsers that ask for pages of *origins*; nothing where there are none.

    A credential is in Authorization, never in a cookie, so that no page acts in the name of who looks at it.
    """
    if not origins:
        return []
    return [
        Middleware(
            CORSMiddleware,
            allow_origins=origins,
            allow_methods=_METHODS,
            allow_headers=_ASKED_WITH,
            expose_headers=_ANSWERED_WITH,
        )
    ]
