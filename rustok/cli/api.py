"""`rustok api`: the HTTP API."""

from typing import Annotated

import typer

from rustok.cli.environment import cli_settings
from rustok.cli.supervisor import run_root

app = typer.Typer()


@app.callback(invoke_without_command=True)
def api(
    host: Annotated[str | None, typer.Option(help="Address to listen on; RUSTOK_API_HOST.")] = None,
    port: Annotated[int | None, typer.Option(min=0, max=65535, help="RUSTOK_API_PORT.")] = None,
) -> None:
    """Run the API in this process."""
    settings = cli_settings()
    run_root("uvicorn", *api_arguments(host or settings.api_host, settings.api_port if port is None else port))


def api_arguments(host: str, port: int) -> list[str]:
    """Return uvicorn's arguments: our bounds, our logs, our headers, a bounded stop."""
    return [
        *("--factory", "api.app:create_app"),
        *("--http", "api.protocol:BoundedProtocol", "--ws", "none"),
        *("--host", host, "--port", str(port)),
        *("--no-access-log", "--no-server-header", "--no-proxy-headers", "--log-level", "warning"),
        *("--timeout-graceful-shutdown", "8"),
    ]
