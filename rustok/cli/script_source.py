"""The source of a hook, and what is wrong with it."""

import codecs
from collections.abc import Sequence
from pathlib import Path

import typer

from rustok.cli.output import printable
from rustok.kernel.errors import InvalidInput
from rustok.sandbox.contract import Fault
from rustok.sandbox.language.compiler import LONGEST_SOURCE_BYTES
from rustok.sandbox.language.diagnostic import Diagnostic

_LONGEST_LETTER_BYTES = 4


def read_source(file: Path) -> str:
    """Return the text of *file*, or as much of it as shows that it is too long, without a letter cut in two.

    Raises:
        InvalidInput: it cannot be read, or is no text.

    """
    try:
        with file.open("rb") as source:
            raw = source.read(LONGEST_SOURCE_BYTES + _LONGEST_LETTER_BYTES)
            return codecs.getincrementaldecoder("utf-8")().decode(raw, final=len(raw) <= LONGEST_SOURCE_BYTES)
    except (OSError, ValueError) as error:
        raise InvalidInput(f"{file} cannot be read as UTF-8 text: {type(error).__name__}.") from error


def print_faults(file: Path | str, faults: Sequence[Fault | Diagnostic]) -> None:
    """Print each fault as editors and terminals know to follow it: `file:line:column: ...`."""
    for fault in faults:
        place = ":".join(str(part) for part in (file, fault.line, fault.column) if part is not None)
        hint = f" {fault.hint}" if fault.hint else ""
        typer.echo(printable(f"{place}: {fault.code}: {fault.message}{hint}"))
