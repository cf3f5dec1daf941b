"""What a source is compiled to, as bytes: its code, and the patterns that it matches texts with."""

import _sre  # type: ignore[import-not-found]
import marshal
import re
from collections.abc import Iterable
from types import CodeType
from typing import Any, NamedTuple


class Pattern(NamedTuple):
    """A text that `re` is called with, the flags beside it, and the arguments for `_sre.compile`, which checks them."""

    text: str
    flags: int
    arguments: tuple[Any, ...]

    @property
    def words(self) -> int:
        """The length of its code."""
        return len(self.arguments[2])


def pattern_of(text: str, flags: int, parsed: Any) -> Pattern:
    """Do what `re._compiler.compile` does with a *parsed* text before it calls `_sre.compile`.

    Raises:
        re.error, ValueError, OverflowError, RecursionError: it is no pattern, or too much of one.
    """
    words = re._compiler._code(parsed, flags)  # type: ignore[attr-defined]  # noqa: SLF001
    state = parsed.state
    names: list[str | None] = [None] * state.groups
    for name, number in state.groupdict.items():
        names[number] = name
    groups = state.groups - 1, dict(state.groupdict), tuple(names)
    return Pattern(text, flags, (text, flags | state.flags, [*map(int, words)], *groups))


def pack(code: CodeType, patterns: Iterable[Pattern] = ()) -> bytes:
    """Return what `load` reads, the same for the same code and patterns."""
    return marshal.dumps((code, [tuple(pattern) for pattern in patterns]))


def load(bytecode: bytes) -> CodeType:
    """Return the code, and have `re` find the patterns where it looks first. Only ever called in a child."""
    code, patterns = marshal.loads(bytecode)  # noqa: S302 - inside the cage
    if not isinstance(code, CodeType):
        raise TypeError("the bytecode holds no code")
    for text, flags, arguments in patterns:
        re._cache[str, text, flags] = _sre.compile(*arguments)  # type: ignore[attr-defined]  # noqa: SLF001
    return code
