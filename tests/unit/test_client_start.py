"""Whoever uses the client waits for nothing of the server."""

import subprocess
import sys

_OF_THE_SERVER = {"alembic", "asyncpg", "dramatiq", "orjson", "pydantic", "redis", "sqlalchemy", "starlette", "uvicorn"}


def test_the_client_imports_nothing_of_the_server() -> None:
    """Neither its libraries nor its modules."""
    command = [sys.executable, "-c", "import sys, rustok.client; print(*sys.modules)"]

    finished = subprocess.run(command, capture_output=True, text=True, check=True)  # noqa: S603 - ours

    imported = finished.stdout.split()
    assert {name.partition(".")[0] for name in imported}.isdisjoint(_OF_THE_SERVER)
    assert {name.split(".")[1] for name in imported if name.startswith("rustok.")} == {"client"}
