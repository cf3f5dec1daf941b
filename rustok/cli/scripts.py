"""`rustok scripts`: what authors of hooks need at their desk."""

import codecs
from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import typer
from rich.markup import escape

from rustok.cli.output import err, print_rows
from rustok.kernel.errors import InvalidInput
from rustok.sandbox.language.compiler import LONGEST_SOURCE_BYTES, compile_source
from rustok.sandbox.language.diagnostic import Diagnostic

app = typer.Typer(no_args_is_help=True)

_LONGEST_LETTER_BYTES = 4


@app.callback()
def scripts() -> None:
    """Write hooks: Python that reacts to events."""


@app.command()
def check(
    files: Annotated[list[Path], typer.Argument(help="Hooks to check.")],
    *,
    as_json: Annotated[bool, typer.Option("--json", help="Print a JSON array with every fault.")] = False,
) -> None:
    """Tell what keeps each file from being a hook, with line and column; exit code 1 when something does."""
    found = [(file, fault) for file in files for fault in _faults(file)]
    if as_json:
        print_rows([{"file": str(file), **asdict(fault)} for file, fault in found], (), as_json=True)
    else:
        for file, fault in found:
            typer.echo(_line(file, fault))
        sound = len(files) - len({file for file, _ in found})
        err.print(f"{sound} of {len(files)} within the language", highlight=False)
    raise typer.Exit(1 if found else 0)


def _faults(file: Path) -> tuple[Diagnostic, ...]:
    compiled = compile_source(_read(file))
    return () if isinstance(compiled, bytes) else compiled


def _read(file: Path) -> str:
    """Return the text of *file*, or as much of it as shows that it is too long, without a letter cut in two.

    Raises:
        InvalidInput: it cannot be read, or is no text.

    """
    try:
        with file.open("rb") as source:
            raw = source.read(LONGEST_SOURCE_BYTES + _LONGEST_LETTER_BYTES)
            return codecs.getincrementaldecoder("utf-8")().decode(raw, final=len(raw) <= LONGEST_SOURCE_BYTES)
    except (OSError, ValueError) as error:
        raise InvalidInput(f"{escape(str(file))} cannot be read as UTF-8 text: {type(error).__name__}.") from error


def _line(file: Path, fault: Diagnostic) -> str:
    """Return the fault as editors and terminals know to follow it: `file:line:column: ...`."""
    place = ":".join(str(part) for part in (file, fault.line, fault.column) if part is not None)
    hint = f" {fault.hint}" if fault.hint else ""
    return f"{place}: {fault.code}: {fault.message}{hint}"
