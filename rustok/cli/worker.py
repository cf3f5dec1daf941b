"""`rustok worker`: worker processes under a supervisor."""

import os
from typing import Annotated

import typer

from rustok.cli.output import err
from rustok.cli.session import cli_settings
from rustok.cli.supervisor import ProcessSpec, Supervisor
from rustok.settings import required

app = typer.Typer()

WORKER = ("-m", "workers.main")


@app.callback(invoke_without_command=True)
def worker(
    processes: Annotated[int | None, typer.Option(min=1, max=64, help="How many; RUSTOK_WORKER_PROCESSES.")] = None,
) -> None:
    """Run worker processes and replace those that die, until SIGTERM or Ctrl-C."""
    settings = cli_settings()
    required(settings.system_database_url, "system_database_url")
    required(settings.redis_url, "redis_url")
    supervisor = Supervisor(os.environ)
    count = processes or settings.worker_processes
    for number in range(1, count + 1):
        supervisor.start(ProcessSpec(f"worker {number}", WORKER))
    err.print(f"{count} worker processes; Ctrl-C stops them")
    supervisor.run()
