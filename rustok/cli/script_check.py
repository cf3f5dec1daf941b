"""`rustok scripts check`: the language of hooks, in this process, without a server."""

from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import typer

from rustok.cli.output import err, print_rows
from rustok.cli.script_source import print_faults, read_source
from rustok.sandbox.language.compiler import compile_source
from rustok.sandbox.language.diagnostic import Diagnostic

app = typer.Typer()


@app.command()
def check(
    files: Annotated[list[Path], typer.Argument(help="Hooks to check.")],
    *,
    as_json: Annotated[bool, typer.Option("--json", help="Print a JSON array with every fault.")] = False,
) -> None:
    """Tell what keeps each file from being a hook, with line and column; exit code 1 when something does."""
    found = [(file, faults) for file in files if (faults := _faults(file))]
    if as_json:
        print_rows([{"file": str(file), **asdict(f)} for file, faults in found for f in faults], (), as_json=True)
    else:
        for file, faults in found:
            print_faults(file, faults)
        err.print(f"{len(files) - len(found)} of {len(files)} within the language", highlight=False)
    raise typer.Exit(1 if found else 0)


def _faults(file: Path) -> tuple[Diagnostic, ...]:
    compiled = compile_source(read_source(file))
    return () if isinstance(compiled, bytes) else compiled
