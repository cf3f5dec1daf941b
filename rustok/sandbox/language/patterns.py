"""Patterns that stand in a source as texts: compiled with it, so that no run has to.

A pattern takes Python longer to compile than most hooks run, and a child runs one hook once.
"""

import ast
import re
from collections.abc import Iterator
from contextlib import suppress

from rustok.sandbox.language.bytecode import Pattern, pattern_of

_MOST = 64
"""Patterns of one source that are compiled ahead: a bound on the time and the bytes that they take."""
_MOST_WORDS = 4096
"""Of a pattern: one that has more takes longer to read back than it is worth."""
_FUNCTIONS = frozenset("compile match fullmatch search findall finditer split sub subn".split())  # noqa: SIM905


def patterns_of(tree: ast.AST) -> tuple[Pattern, ...]:
    """Return the patterns of calls of `re` whose first argument is a text; a wrong one is left for its run to tell."""
    found: dict[tuple[str, int], Pattern] = {}
    for text, flags in _called_with(tree):
        if len(found) == _MOST:
            break
        with suppress(re.error, ValueError, OverflowError, RecursionError):
            pattern = pattern_of(text, flags)
            if pattern.words <= _MOST_WORDS:
                found[text, flags] = pattern
    return tuple(found.values())


def _called_with(tree: ast.AST) -> Iterator[tuple[str, int]]:
    for node in ast.walk(tree):
        match node:
            case ast.Call(
                func=ast.Attribute(value=ast.Name(id="re"), attr=function), args=[ast.Constant(value=str(text)), *_]
            ) if function in _FUNCTIONS:
                yield text, _flags(node)


def _flags(call: ast.Call) -> int:
    """Return the flags that are named in *call*, wherever they stand: what is guessed wrong is not looked for."""
    flags = 0
    for argument in (*call.args, *call.keywords):
        for node in ast.walk(argument):
            if isinstance(node, ast.Attribute) and isinstance(flag := getattr(re, node.attr, None), re.RegexFlag):
                flags |= flag.value
    return flags
