"""`rustok relay`: one relay process."""

import typer

from rustok.cli.environment import cli_settings
from rustok.cli.supervisor import run_root

app = typer.Typer()


@app.callback(invoke_without_command=True)
def relay() -> None:
    """Run a relay in this process; any number may run at once."""
    cli_settings()
    run_root("workers.relay")
