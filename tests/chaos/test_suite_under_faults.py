"""The ordinary tests of what comes of things in the end, while 3 % of the statements of PostgreSQL fail."""

import re
import subprocess
import sys

import pytest

from tests.faults import Fault

SEED = 20260203


@pytest.mark.deep
@pytest.mark.timeout(1800)
def test_what_is_marked_under_fire_passes_with_faults() -> None:
    """Of every kind of fault there were some, and nothing was lost, doubled or given up."""
    command = [sys.executable, "-m", "pytest", "--faults", str(SEED), "-q", "tests/integration"]

    ended = subprocess.run(command, capture_output=True, text=True, check=False)  # noqa: S603 - our own arguments

    assert ended.returncode == 0, f"again: pytest --faults {SEED} tests/integration\n{ended.stdout}{ended.stderr}"
    for fault in Fault:
        assert re.search(rf"^[1-9]\d* x {fault}$", ended.stdout, re.MULTILINE), f"{fault}: there was none"
