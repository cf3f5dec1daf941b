"""Types that inputs share: slugs, amounts, moments, small JSON objects."""

import json
from datetime import UTC, datetime
from typing import Any

import pytest
from pydantic import TypeAdapter, ValidationError

from rustok.kernel.fields import Currency, JsonObject, Locale, Minor, Moment, Slug, Title, slugify


@pytest.mark.parametrize(
    ("text", "slug"),
    [
        ("Red bicycles", "red-bicycles"),
        ("  Red   bicycles!  ", "red-bicycles"),
        ("Crème brûlée", "creme-brulee"),
        ("Grüße", "grue"),
        ("g++", "g-plus-plus"),
        ("g", "g"),
        ("A/B_C.d", "a-b-c-d"),
        ("ﬁne №5", "fine-no5"),
        ("Велосипед", ""),
        ("", ""),
        ("---", ""),
        ("½ price", "12-price"),
    ],
)
def test_a_title_becomes_lower_case_ascii_words_with_hyphens(text: str, slug: str) -> None:
    """What has no ASCII form is left out; a plus is spelled, since `g++` and `g` are different things."""
    assert slugify(text) == slug


@pytest.mark.parametrize("text", ["x" * 300, "ab-" * 100, "a " * 300, "+" * 300])
def test_a_long_title_becomes_a_slug_that_fits(text: str) -> None:
    """At most 255 characters, and no hyphen at the cut."""
    TypeAdapter(Slug).validate_python(slugify(text))


@pytest.mark.parametrize(
    ("kind", "value"),
    [
        (Minor, 0),
        (Minor, 2**53 - 1),
        (Locale, "de"),
        (Locale, "pt-BR"),
        (Currency, "EUR"),
        (Slug, "a"),
        (Slug, "a-1"),
        (Title, "x" * 255),
        (JsonObject, {"k": "x" * (65_536 - 8)}),
    ],
)
def test_values_within_the_limits_are_taken(kind: Any, value: object) -> None:
    """The limits themselves are allowed."""
    assert TypeAdapter(kind).validate_python(value) == value


@pytest.mark.parametrize(
    ("kind", "value"),
    [
        (Minor, -1),
        (Minor, 2**53),
        (Locale, "DE"),
        (Locale, "de_DE"),
        (Locale, "de\n"),
        (Currency, "eur"),
        (Currency, "EUR\n"),
        (Slug, ""),
        (Slug, "-a"),
        (Slug, "a--b"),
        (Slug, "A"),
        (Slug, "a\n"),
        (Slug, "x" * 256),
        (Title, "   "),
        (Title, "x" * 256),
        (JsonObject, {"k": "x" * (65_536 - 7)}),
        (JsonObject, [1]),
    ],
)
def test_values_beyond_the_limits_are_refused(kind: Any, value: object) -> None:
    """One step past a limit is too far."""
    with pytest.raises(ValidationError):
        TypeAdapter(kind).validate_python(value)


@pytest.mark.parametrize(
    "value",
    [
        "2026-11-27T12:00:00Z",
        "2026-11-27t12:00:00z",
        "2026-11-27 12:00:00.000000Z",
        "2026-11-27T14:00:00+02:00",
        "2026-11-27T12:00:00-00:00",
        datetime(2026, 11, 27, 12, tzinfo=UTC),
    ],
)
def test_a_moment_is_written_as_rfc_3339_says(value: str | datetime) -> None:
    """It is the `date-time` of JSON Schema; Python's own is taken as it is."""
    moments = TypeAdapter(Moment)

    found = [moments.validate_python(value), moments.validate_json(json.dumps(str(value)), strict=True)]

    assert found == [datetime(2026, 11, 27, 12, tzinfo=UTC)] * 2


@pytest.mark.parametrize(
    "value",
    [
        *(0, 1.5, "0", "+0.0", "1764244800", True),
        *("2026-11-27", "2026-11-27T12:00Z", "2026-11-27T12:00:00", "2026-11-27T12:00:00+0200"),
        *("2026-11-27T12:00:00Z\n", "2026-02-30T12:00:00Z", "2026-11-27T24:00:00Z", "0001-01-01T00:00:00+23:59"),
        "２026-11-27T12:00:00Z",
        datetime(2026, 11, 27, 12),  # noqa: DTZ001 - the lack of a zone is the point
    ],
    ids=repr,
)
def test_what_is_no_moment_is_refused(value: object) -> None:
    """Seconds since 1970, above all: a caller who sends a number by mistake would get another time."""
    with pytest.raises(ValidationError):
        TypeAdapter(Moment).validate_python(value)
