"""Patterns that a source names are compiled with it."""

import re
from collections.abc import Iterator

import pytest

from rustok.sandbox.language.bytecode import load
from rustok.sandbox.language.compiler import compile_source

TEXTS = [
    r"\w+",
    r"(?P<year>\d{4})-(?P<month>\d\d)|(x)?",
    r"(?i:straße)|[à-ÿ\u0100-\u04ff]+",
    r"(?x) a  b  # spaces do not count",
    r"(?<=€)\d+(?:[.,]\d\d)?(?!\d)",
    r"^(?>a+)b*+$",
    "",
    "\x00|𝄞",
]


@pytest.fixture(autouse=True)
def _nothing_is_known() -> Iterator[None]:
    re.purge()
    yield
    re.purge()


def bytecode_of(*statements: str) -> bytes:
    lines = "".join(f"    {statement}\n" for statement in statements)
    bytecode = compile_source(f"import re\nasync def handle(event, ctx):\n{lines}    return None\n")
    assert isinstance(bytecode, bytes), bytecode
    return bytecode


def known() -> dict[tuple[str, int], re.Pattern[str]]:
    """What `re` will find without compiling it."""
    return {(text, flags): pattern for (_, text, flags), pattern in re._cache.items()}  # type: ignore[attr-defined]


@pytest.mark.parametrize("text", TEXTS)
def test_a_pattern_that_is_loaded_is_the_one_that_re_would_make(text: str) -> None:
    bytecode = bytecode_of(f"re.search({text!r}, event['text'])")
    re.purge()
    load(bytecode)

    loaded = known()[text, 0]

    re.purge()
    made = re.compile(text)
    assert (loaded, loaded.groups, loaded.groupindex) == (made, made.groups, made.groupindex)
    assert loaded is not made


def test_flags_count_wherever_they_stand() -> None:
    bytecode = bytecode_of(
        "re.sub('a', 'b', 'text', flags=re.I | re.M)",
        "re.compile('b', re.IGNORECASE)",
        "re.split('c', 'text', 0, re.S)",
    )
    re.purge()
    load(bytecode)

    assert set(known()) == {("a", re.IGNORECASE | re.MULTILINE), ("b", re.IGNORECASE), ("c", re.DOTALL)}


def test_flags_of_a_call_inside_of_a_call_are_its_own() -> None:
    bytecode = bytecode_of("re.sub('a', lambda m: re.sub('b', 'c', m[0], flags=re.I), 'text')")
    re.purge()
    load(bytecode)

    assert set(known()) == {("a", 0), ("b", re.IGNORECASE)}


@pytest.mark.parametrize(
    "text",
    [
        r"[\u0100-\uffff]",
        r"(?:x|(?=[^a\u0100-\uffff]))+",
        "".join(f"[{chr(n)}-{chr(n + 90)}]" for n in range(256, 306)),
    ],
)
def test_a_pattern_with_wide_ranges_is_left_to_the_run(text: str) -> None:
    """Where case does not count, Python looks at each character of a range: a second for a hundred such ranges."""
    bytecode = bytecode_of(f"re.match({text!r}, 'text', re.I)")
    re.purge()
    load(bytecode)

    assert known() == {}


def test_what_python_says_of_a_pattern_is_for_nobody(capsys: pytest.CaptureFixture[str]) -> None:
    """Neither a warning that pytest would raise, nor the tree that a flag asks for."""
    bytecode_of("re.match('[[a]', 'text')", "re.compile('a', re.DEBUG)")

    assert capsys.readouterr() == ("", "")


def test_what_is_no_pattern_of_the_source_is_left_to_the_run() -> None:
    bytecode = bytecode_of(
        "re.findall(event['pattern'], 'text')", "'a,b'.split(',')", "re.escape('e')", "re.match('(', 'wrong')"
    )
    re.purge()
    load(bytecode)

    assert known() == {}


def test_a_source_full_of_patterns_has_the_first_of_them_compiled() -> None:
    bytecode = bytecode_of(*(f"re.match('x{number}', 'text')" for number in range(100)))
    re.purge()
    load(bytecode)

    assert len(known()) == 64


def test_patterns_that_are_wrong_count_too() -> None:
    """Looking at them costs the same."""
    bytecode = bytecode_of(*(f"re.match('({number}', 'text')" for number in range(64)), "re.match('late', 'text')")
    re.purge()
    load(bytecode)

    assert known() == {}


@pytest.mark.parametrize(
    "texts",
    [
        pytest.param(["x" * 20_000], id="one"),
        pytest.param(["x" * 3_000], id="of many words"),
        pytest.param(["((" * 4_000, "y" * 500], id="together"),
    ],
)
def test_patterns_of_unusual_length_are_left_to_the_run(texts: list[str]) -> None:
    bytecode = bytecode_of(*(f"re.match({text!r}, 'text')" for text in texts))
    re.purge()
    load(bytecode)

    assert known() == {}
