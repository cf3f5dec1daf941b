"""How the command line speaks: data on standard output, the rest on standard error."""

import json
import sys
from collections.abc import Mapping, Sequence
from typing import Any, NoReturn

from rich.console import Console
from rich.markup import escape
from rich.table import Table

from rustok.kernel.errors import InvalidInput, RustokError

_UNLIMITED = 10_000

out = Console(soft_wrap=True, width=None if sys.stdout.isatty() else _UNLIMITED)
err = Console(stderr=True, soft_wrap=True)


def fail(error: RustokError) -> NoReturn:
    """Print a coded error on one line, its violations below, and exit with 1."""
    err.print(f"[bold red]error[/] {escape(str(error))} [dim]({error.code})[/]", highlight=False)
    for violation in getattr(error, "violations", ()) if isinstance(error, InvalidInput) else ():
        err.print(
            f"  {escape(violation.pointer) or '(input)'}: {escape(violation.detail)} [dim]({violation.code})[/]",
            highlight=False,
        )
    sys.exit(1)


def print_rows(rows: Sequence[Mapping[str, Any]], columns: Sequence[str], *, as_json: bool) -> None:
    """Print *rows* as a table of *columns*, or as a JSON array with everything they have."""
    if as_json:
        print(json.dumps(rows, default=str))  # noqa: T201 - data, unstyled
        return
    table = Table(box=None, header_style="bold", pad_edge=False)
    for name in columns:
        table.add_column(name, overflow="fold")
    for row in rows:
        table.add_row(*("" if row[name] is None else str(row[name]) for name in columns))
    out.print(table)
