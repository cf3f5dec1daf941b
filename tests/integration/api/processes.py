"""An API in a process of its own, behind a real socket."""

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from rustok.testing import Database
from rustok.testing.platform import SECRET

ROOT = Path(__file__).parents[3]


@contextmanager
def api_process(database: Database) -> Iterator[int]:
    """Serve *database* and yield the port, which stays while the process dies as `mortal_api` does."""
    environment = {
        **{name: value for name, value in os.environ.items() if not name.startswith("RUSTOK_")},
        "RUSTOK_DATABASE_URL": database.app_url,
        "RUSTOK_SYSTEM_DATABASE_URL": database.system_url,
        "RUSTOK_SECRET": SECRET,
        "RUSTOK_LOG_LEVEL": "ERROR",
        "RUSTOK_ADMISSION_SOFT_AGE_S": "inf",
        "RUSTOK_ADMISSION_HARD_AGE_S": "inf",
    }
    command = [sys.executable, "-m", "tests.integration.api.mortal_api"]
    with subprocess.Popen(  # noqa: S603 - our own command
        command, cwd=ROOT, env=environment, stdout=subprocess.PIPE, start_new_session=True
    ) as process:
        assert process.stdout is not None
        yield int(process.stdout.readline())
        os.killpg(process.pid, signal.SIGKILL)
