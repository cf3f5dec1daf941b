"""What is JSON is read, what is not is refused, and of what readers disagree on little is read (JSONTestSuite)."""

import json
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rustok.kernel.errors import InvalidInput
from rustok.kernel.strict_json import NODES, MalformedJson, _parse_carefully, parse
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


LEAVES = (
    st.none()
    | st.booleans()
    | st.integers()
    | st.sampled_from([2**53, 2**63 - 1, 2**63, -(2**63), -(2**63) - 1, 2**64 - 1, 2**64])
    | st.floats()
    | st.text(max_size=8)
    | st.sampled_from([",", "[{", '":', " a b ", "\\", "\x00", "\ud800", "é"])
)
VALUES = st.recursive(
    LEAVES, lambda below: st.lists(below, max_size=4) | st.dictionaries(st.text(max_size=3), below, max_size=4)
)


@given(VALUES, st.booleans(), st.sampled_from([None, 1]), st.sampled_from([(",", ":"), (", ", ": "), (" ,\t", " :")]))
@settings(derandomize=True, max_examples=1000)
def test_what_is_read_quickly_is_read_as_carefully(
    value: Any, only_ascii: bool, indent: int | None, separators: tuple[str, str]
) -> None:
    """The same value or the same refusal, in whatever layout."""
    text = json.dumps(value, ensure_ascii=only_ascii, indent=indent, separators=separators)
    raw = text.encode(errors="surrogatepass")

    assert outcome(parse, raw) == outcome(_parse_carefully, raw)


DOUBTFUL = [
    *('{"a":1,"a":1}', '{"a":1, "b":[{"c":2,"c":3}]}', '{"a":1,"\\u0061":2}', '{"a":{},"a":[]}', '{"":1,"":1}'),
    *("9223372036854775807", "9223372036854775808", "18446744073709551616", "1e400", "-1e400", "1e5", "0.10", "-0"),
    *("[1.0]", "[-0.0]", "1E2", "123456789012345678901234567890.5", "0e999", "[1e-400]", " 1 ", "1 2", "", "nul"),
    *('"\\u0000"', '"\\ud800"', '"\\ud83d\\ude00"', '"\\\\u0000"', '"\\n"', '"\x7f"', '"\t"', "\ufeff{}", "NaN"),
    *("[" * 32 + "]" * 32, "[" * 33 + "]" * 33, "[[]," + "[" * 31 + "]" * 31 + "]", "[[]," + "[" * 32 + "]" * 33),
    *(
        f"[{depth},{'{},' * 40}0]"
        for depth in ("[" * 31 + "]" * 31, "[" * 32 + "]" * 32, '{"a":' * 32 + "0" + "}" * 32)
    ),
    *(f"[{'0,' * count}0]" for count in (9_998, 9_999)),
    *(f"[{'[],' * count}0]" for count in (9_998, 9_999)),
    *(f'["{"," * count}"]' for count in (9_998, 9_999, 20_000)),
]
"""At each limit, on both sides, and where quick readers are known to be lax."""


def test_doubtful_texts_are_read_as_carefully() -> None:
    outcomes = [(raw[:50], outcome(parse, raw.encode()), outcome(_parse_carefully, raw.encode())) for raw in DOUBTFUL]

    assert [(raw, quick, careful) for raw, quick, careful in outcomes if quick != careful] == []


@pytest.mark.parametrize("name", TEXTS)
def test_a_text_of_the_corpus_is_read_as_carefully(name: str) -> None:
    assert outcome(parse, TEXTS[name]) == outcome(_parse_carefully, TEXTS[name])


def outcome(read: Callable[[bytes, int], Any], raw: bytes) -> Any:
    """Return what *read* makes of a text: its value with the types of all numbers, or its refusal."""
    try:
        return repr(read(raw, NODES))
    except MalformedJson as error:
        return str(error)
    except InvalidInput as error:
        return error.violations
