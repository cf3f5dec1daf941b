"""The command line answers at once: it imports what the asked noun needs, and nothing before."""

import subprocess
import sys

import pytest

_SERVER_LIBRARIES = {"sqlalchemy", "asyncpg", "alembic", "starlette", "uvicorn", "dramatiq", "redis"}
_RUN_AND_TELL = """
import sys
from rustok.cli import app
try:
    app(sys.argv[1:])
except SystemExit:
    print(*sys.modules, file=sys.stderr)
"""


def run(*arguments: str) -> tuple[str, set[str]]:
    """Run `rustok` with *arguments*; return what it prints, and the packages that it has imported by then."""
    command = [sys.executable, "-c", _RUN_AND_TELL, *arguments]
    finished = subprocess.run(command, capture_output=True, text=True, check=True)  # noqa: S603 - ours
    return finished.stdout, {name.partition(".")[0] for name in finished.stderr.split()}


def test_the_list_of_nouns_is_shown_without_importing_them() -> None:
    """Whoever looks for a command waits for none of them."""
    shown, packages = run("--help")

    assert "Import data through the write path" in shown
    assert packages.isdisjoint(_SERVER_LIBRARIES | {"pydantic"})


@pytest.mark.parametrize(("noun", "its_own"), [("api", "--host"), ("worker", "--processes"), ("relay", "--help")])
def test_what_starts_a_process_leaves_the_importing_to_it(noun: str, its_own: str) -> None:
    """Else the libraries of the servers would be imported twice before the process serves."""
    shown, packages = run(noun, "--help")

    assert its_own in shown
    assert packages.isdisjoint(_SERVER_LIBRARIES)


def test_hooks_are_checked_without_the_libraries_of_servers() -> None:
    """An editor checks at each save: it waits for the language alone."""
    shown, packages = run("scripts", "check", "--help")

    assert "HOOKS" in shown.upper()
    assert packages.isdisjoint(_SERVER_LIBRARIES | {"psutil"})
