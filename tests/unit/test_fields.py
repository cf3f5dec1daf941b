"""Types that inputs share: slugs, amounts, small JSON objects."""

from typing import Any

import pytest
from pydantic import TypeAdapter, ValidationError

from rustok.kernel.fields import Currency, JsonObject, Locale, Minor, Slug, Title, slugify


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
