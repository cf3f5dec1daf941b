"""`rustok worker`: worker processes under a supervisor."""

import os
from collections.abc import Iterator
from typing import Annotated

import typer

from rustok.cli.environment import cli_settings
from rustok.cli.output import err
from rustok.cli.supervisor import ProcessSpec, Supervisor
from rustok.settings import required

app = typer.Typer()


def worker_processes(count: int, metrics_port: int) -> Iterator[ProcessSpec]:
    """Yield worker processes; each serves its metrics on a port of its own, from *metrics_port* on, unless 0."""
    for number in range(count):
        ports = {"RUSTOK_WORKER_METRICS_PORT": str(metrics_port + number)} if metrics_port else {}
        yield ProcessSpec(f"worker {number + 1}", ("-m", "workers.main"), ports)


@app.callback(invoke_without_command=True)
def worker(
    processes: Annotated[int | None, typer.Option(min=1, max=64, help="How many; RUSTOK_WORKER_PROCESSES.")] = None,
) -> None:
    """Run worker processes and replace those that die, until SIGTERM or Ctrl-C."""
    settings = cli_settings()
    for name in ("database_url", "system_database_url", "redis_url", "secret"):
        required(getattr(settings, name), name)
    supervisor = Supervisor(os.environ)
    count = processes or settings.worker_processes
    for spec in worker_processes(count, settings.worker_metrics_port):
        supervisor.start(spec)
    err.print(f"{count} worker processes; Ctrl-C stops them")
    if settings.sandbox == "unsafe-dev":
        err.print("[bold red]RUSTOK_SANDBOX=unsafe-dev[/]: where the kernel cannot hold scripts, they run unprotected")
    supervisor.run()
