"""What is JSON is read, what is not is refused, and of what readers disagree on little is read (JSONTestSuite)."""

import json

import pytest

from rustok.kernel.errors import InvalidInput
from rustok.kernel.strict_json import MalformedJson, parse
from tests.corpora.read import json_texts

TEXTS = json_texts()
REFUSED = {
    "y_object_duplicated_key.json": "duplicate_name",
    "y_object_duplicated_key_and_value.json": "duplicate_name",
    "y_object_escaped_null_in_key.json": "text_not_storable",
    "y_string_null_escape.json": "text_not_storable",
}
"""JSON that has no one meaning (RFC 7493), or that PostgreSQL cannot store."""
READ_AS = {"i_number_double_huge_neg_exp.json": [0.0], "i_number_real_underflow.json": [0.0]}
"""All of what readers may think as they like about that is taken."""


def test_the_corpus_is_whole() -> None:
    """All of its 318 texts."""
    assert len(TEXTS) == 318
    assert {name[:2] for name in TEXTS} == {"y_", "n_", "i_"}


@pytest.mark.parametrize("name", [name for name in TEXTS if name.startswith("y_")])
def test_json_is_read(name: str) -> None:
    """As Python's own reader does, but for what has more than one meaning."""
    if name in REFUSED:
        with pytest.raises(InvalidInput) as refused:
            parse(TEXTS[name])
        assert [violation.code for violation in refused.value.violations] == [REFUSED[name]]
    else:
        assert parse(TEXTS[name]) == json.loads(TEXTS[name])


@pytest.mark.parametrize("name", [name for name in TEXTS if name.startswith("n_")])
def test_what_is_no_json_is_refused(name: str) -> None:
    """However close it comes; what is nested too deep need not be read to its end."""
    with pytest.raises((MalformedJson, InvalidInput)):
        parse(TEXTS[name])


@pytest.mark.parametrize("name", [name for name in TEXTS if name.startswith("i_")])
def test_what_readers_disagree_on_is_refused(name: str) -> None:
    """It would mean something else to the next reader. A number that is too small for a double is 0 to all of them."""
    if name in READ_AS:
        assert parse(TEXTS[name]) == READ_AS[name]
    else:
        with pytest.raises((MalformedJson, InvalidInput)):
            parse(TEXTS[name])


@pytest.mark.parametrize(
    ("text", "value"),
    [("1.0", 1), ("-2.50e1", -25), ("9007199254740992.0", 2**53), ("1.5", 1.5), ("1e-7", 1e-7), ("1e300", 1e300)],
)
def test_a_number_without_a_fraction_is_an_integer(text: str, value: float) -> None:
    """However it is written (JSON Schema 2020-12), as far as a double has every integer."""
    read = parse(text.encode())

    assert (read, type(read)) == (value, type(value))
