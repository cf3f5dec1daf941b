"""`rustok relay`: one relay process."""

import typer

from rustok.cli.supervisor import run_root

app = typer.Typer()


@app.callback(invoke_without_command=True)
def relay() -> None:
    """Run a relay in this process; any number may run at once."""
    run_root("workers.relay")
