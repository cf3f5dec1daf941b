"""What is wrong with a source, and where."""

from dataclasses import dataclass
from typing import Literal

Code = Literal["syntax_error", "forbidden_syntax", "source_too_large"]


@dataclass(frozen=True, slots=True)
class Diagnostic:
    """One fault. `line` and `column` count from 1, in characters; None where the whole source is meant."""

    code: Code
    message: str
    line: int | None = None
    column: int | None = None
    hint: str | None = None
