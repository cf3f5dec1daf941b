"""Types that inputs of several modules share, with the limits of the platform's domain."""

import re
import unicodedata
from datetime import UTC, datetime
from typing import Annotated, TypeVar
from uuid import UUID

import orjson
from pydantic import AfterValidator, AwareDatetime, BeforeValidator, Field, JsonValue, StringConstraints
from pydantic_core import PydanticKnownError

from rustok.kernel.quota import read_quota

_JSON_OBJECT_LIMIT_BYTES = 65_536
_DATE_TIME = re.compile(r"\d{4}-\d\d-\d\d[Tt ]([01]\d|2[0-3]):\d\d:\d\d(\.\d+)?([Zz]|[+-]\d\d:\d\d)", re.ASCII)
"""RFC 3339, section 5.6."""

EXAMPLE_ID = "019a7c00-0000-7000-8000-000000000001"
"""An id for the examples of the documentation."""


def _small(value: dict[str, JsonValue]) -> dict[str, JsonValue]:
    if len(orjson.dumps(value)) > _JSON_OBJECT_LIMIT_BYTES:
        raise ValueError(f"must not exceed {_JSON_OBJECT_LIMIT_BYTES} bytes as JSON")
    return value


def _quota(text: str) -> str:
    return str(read_quota(text))


def _read_moment(value: object) -> datetime:
    """Take what RFC 3339 calls a date-time: pydantic alone would take numbers, too, for seconds since 1970."""
    if isinstance(value, datetime):
        return value
    try:
        if isinstance(value, str) and _DATE_TIME.fullmatch(value):
            return datetime.fromisoformat(value.upper())
    except ValueError:
        pass
    raise PydanticKnownError("datetime_type")


def _in_utc(moment: datetime) -> datetime:
    try:
        return moment.astimezone(UTC)
    except OverflowError:
        raise ValueError("is too near to the end of all time") from None


def _distinct(items: list[str]) -> list[str]:
    if len(set(items)) < len(items):
        raise ValueError("must not repeat")
    return items


Text = TypeVar("Text", bound=str)
Distinct = Annotated[list[Text], AfterValidator(_distinct), Field(json_schema_extra={"uniqueItems": True})]
"""A list of texts, none of which occurs twice."""

Locale = Annotated[str, StringConstraints(pattern=r"^[a-z]{2}(-[A-Z]{2})?$")]
"""`xx` or `xx-YY`."""

Slug = Annotated[str, StringConstraints(pattern=r"^[a-z0-9]+(-[a-z0-9]+)*$", max_length=255)]
"""Lower-case letters, digits and single hyphens, 1 to 255."""

Currency = Annotated[str, StringConstraints(pattern=r"^[A-Z]{3}$")]
"""ISO 4217 code."""

Minor = Annotated[int, Field(ge=0, le=2**53 - 1)]
"""An amount in minor units; up to 2**53 - 1, so that every JSON reader keeps it exact."""

EventPattern = Annotated[
    str, StringConstraints(pattern=r"^(\*|[a-z][a-z0-9_]*(\.[a-z][a-z0-9_]*)*(\.\*)?)$", max_length=200)
]
"""What `matches` takes: a type of events, `commerce.product.*`, or `*`."""

Title = Annotated[
    str,
    StringConstraints(min_length=1, max_length=255, strip_whitespace=True),
    Field(json_schema_extra={"pattern": r"[^\s\u0085]"}),
]
"""A text without the spaces around it; there is something else in it."""

Ids = Annotated[list[UUID], Field(max_length=100)]
"""Ids of things that are asked for together."""

Moment = Annotated[AwareDatetime, BeforeValidator(_read_moment), AfterValidator(_in_utc)]
"""A moment with its time zone, as RFC 3339 writes it, of those that there are in UTC, too."""

QuotaText = Annotated[str, AfterValidator(_quota)]
"""NUMBER/s, NUMBER/min or NUMBER/h, NUMBER up to 999,999."""

JsonObject = Annotated[dict[str, JsonValue], AfterValidator(_small)]
"""A free-form JSON object of at most 64 KiB."""


def slugify(text: str) -> str:
    """Return *text* as a slug, without what has no ASCII form; may be empty.

    A `+` becomes `-plus` (`g++` and `g` are different things).
    """
    spelled = text.replace("+", "-plus")
    ascii_text = unicodedata.normalize("NFKD", spelled).encode("ascii", "ignore").decode().lower()
    return re.sub(r"[^a-z0-9]+", "-", ascii_text).strip("-")[:255].rstrip("-")
