"""The architecture is what pyproject.toml's import contracts say; this runs them."""

import subprocess
import sys
from pathlib import Path

import grimp
from importlinter.api import read_configuration

ROOT = Path(__file__).parents[2]


def test_the_import_contracts_hold() -> None:
    """A layer imports only what stands below it; a new folder must be placed in a contract.

    In a process of its own: import-linter sets up logging, which would silence every logger of ours.
    """
    command = [str(Path(sys.executable).with_name("lint-imports")), "--no-cache", "--no-logo"]

    finished = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)  # noqa: S603 - ours

    assert finished.returncode == 0, finished.stdout


def test_every_contract_is_read() -> None:
    """A contract that is not read checks nothing."""
    contracts = read_configuration(str(ROOT / "pyproject.toml"))["contracts_options"]

    assert len(contracts) >= 6


def test_nobody_imports_another_modules_sql() -> None:
    """A module is met at its public face: its repository is its own."""
    graph = grimp.build_graph("rustok", "api", "workers")
    repositories = [name for name in graph.modules if name.startswith("rustok.modules.") and "repository" in name]

    intruders = {
        (importer, repository)
        for repository in repositories
        for importer in graph.find_modules_that_directly_import(repository)
        if not f"{importer}.".startswith(f"{repository.rpartition('.')[0]}.")
    }

    assert len(repositories) >= 4
    assert intruders == set()
