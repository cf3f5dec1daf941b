"""Patterns that stand in a source as texts: compiled with it, so that no run has to.

A pattern takes Python longer to compile than most hooks run, and a child runs one hook once.
"""

import ast
import re
from collections.abc import Iterable, Iterator
from contextlib import suppress
from itertools import islice
from typing import Any

from rustok.sandbox.language.bytecode import Pattern, pattern_of

_MOST, _LONGEST = 64, 8192
"""Patterns of one source that are looked at, and the characters that they have together."""
_MOST_CHARACTERS = 4096
"""In the ranges of a pattern: where case does not count, Python looks at each of them."""
_MOST_WORDS = 4096
"""Of a pattern: one that has more takes longer to read back than it is worth."""
_FUNCTIONS = frozenset("compile match fullmatch search findall finditer split sub subn".split())  # noqa: SIM905


def patterns_of(tree: ast.AST) -> tuple[Pattern, ...]:
    """Return the patterns of calls `re.match("...")` and their like, the first 64 of them.

    One that is wrong, or costs more than it saves, is left to the run. So this takes a tenth of a second at most.
    """
    found, length = [], 0
    for text, flags in islice(dict.fromkeys(_called_with(tree)), _MOST):
        length += len(text)
        if length > _LONGEST:
            break
        if pattern := _compiled(text, flags):
            found.append(pattern)
    return tuple(found)


def _called_with(tree: ast.AST) -> Iterator[tuple[str, int]]:
    for node in ast.walk(tree):
        match node:
            case ast.Call(
                func=ast.Attribute(value=ast.Name(id="re"), attr=function), args=[ast.Constant(value=str(text)), *rest]
            ) if function in _FUNCTIONS:
                yield text, _flags([*rest, *(keyword.value for keyword in node.keywords)])


def _flags(arguments: Iterable[ast.expr]) -> int:
    """Return what `re.I`, `re.I | re.M` come to; wrongly guessed flags make a pattern that nobody looks for."""
    flags = 0
    for argument in arguments:
        match argument:
            case ast.BinOp(left=left, op=ast.BitOr(), right=right):
                flags |= _flags([left, right])
            case ast.Attribute(value=ast.Name(id="re"), attr=name) if isinstance(
                flag := getattr(re, name, 0), re.RegexFlag
            ):
                flags |= flag.value
    return flags


def _compiled(text: str, flags: int) -> Pattern | None:
    if flags & re.DEBUG:
        return None  # it would print
    with suppress(re.error, ValueError, OverflowError, RecursionError):
        parsed = re._parser.parse(text, flags)  # type: ignore[attr-defined,unused-ignore]  # noqa: SLF001
        if _characters(parsed) <= _MOST_CHARACTERS:
            pattern = pattern_of(text, flags, parsed)
            return pattern if pattern.words <= _MOST_WORDS else None
    return None


def _characters(part: Any) -> int:
    """Return how many characters the ranges in a parsed pattern have."""
    match part:
        case (re._constants.RANGE, (int(low), int(high))):  # type: ignore[attr-defined,unused-ignore]  # noqa: SLF001
            return high - low
        case tuple() | list() | re._parser.SubPattern():  # type: ignore[attr-defined,unused-ignore]  # noqa: SLF001
            return sum(map(_characters, part))
    return 0
