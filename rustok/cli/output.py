"""How the command line speaks: data on standard output, the rest on standard error."""

import json
import sys
from collections.abc import Mapping, Sequence
from typing import Any, NoReturn

import typer
from rich.console import Console
from rich.markup import escape
from rich.table import Table
from rich.text import Text

from rustok.kernel.errors import InvalidInput, RustokError, Violation

_UNLIMITED = 10_000
_UNPRINTABLE = (*range(0x20), *range(0x7F, 0xA0), *range(0x2028, 0x202F), *range(0x2066, 0x206A))
"""C0, DEL, C1, separators of lines, and what turns the direction of writing."""
_ESCAPES = {code: {"\n": "\\n", "\t": "\\t"}.get(chr(code), f"\\u{code:04x}") for code in _UNPRINTABLE}

out = Console(soft_wrap=True, width=None if sys.stdout.isatty() else _UNLIMITED)
err = Console(stderr=True, soft_wrap=True)


def printable(text: str) -> str:
    """Return *text* on one line, with escapes for what would steer the terminal: tenants wrote it (CWE-150).

    JSON stays JSON of the same value.
    """
    return text.translate(_ESCAPES)


def to_json(value: Any, indent: int | None = None) -> str:
    """Return *value* as JSON for people: letters of all languages, nothing that steers a terminal."""
    shown = json.dumps(value, ensure_ascii=False, default=str, indent=indent)
    return "\n".join(printable(line) for line in shown.split("\n"))


def fail(error: RustokError) -> NoReturn:
    """Print a coded error on one line, its violations below, and exit with 1."""
    err.print(f"[bold red]error[/] {_marked(str(error))} [dim]({error.code})[/]", highlight=False)
    for violation in _violations(error):
        err.print(
            f"  {_marked(violation.pointer) or '(input)'}: {_marked(violation.detail)} [dim]({violation.code})[/]",
            highlight=False,
        )
    sys.exit(1)


def wrong_call(error: RustokError) -> typer.BadParameter:
    """Return what says that an argument does not fit, and why."""
    details = (f"{violation.pointer or '(input)'}: {violation.detail}" for violation in _violations(error))
    return typer.BadParameter(printable(" ".join([str(error), *details])))


def print_rows(rows: Sequence[Mapping[str, Any]], columns: Sequence[str], *, as_json: bool) -> None:
    """Print *rows* as a table of *columns*, or as a JSON array with everything they have."""
    if as_json:
        print(printable(json.dumps(rows, default=str)))  # noqa: T201 - data, unstyled
        return
    table = Table(box=None, header_style="bold", pad_edge=False)
    for name in columns:
        table.add_column(name, overflow="fold")
    for row in rows:
        table.add_row(*(Text("" if row[name] is None else printable(str(row[name]))) for name in columns))
    out.print(table)


def _marked(text: str) -> str:
    """Return *text* for between markup."""
    return escape(printable(text))


def _violations(error: RustokError) -> Sequence[Violation]:
    return error.violations if isinstance(error, InvalidInput) else ()
