"""Runs PostgreSQL's own load tool: the limit that our figures stand beside."""

import re
import subprocess
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from tests.bench.stage import Stage

_TPS = re.compile(r"tps = ([0-9.]+) \(without initial connection time\)")


@dataclass(frozen=True, slots=True)
class Script:
    """A transaction as pgbench writes it. Statements are prepared once a connection, unless `simple`."""

    text: str
    simple: bool = False


def run_pgbench(
    stage: Stage,
    url: str,
    script: Script,
    *,
    clients: int,
    seconds: float,
    variables: Mapping[str, object] | None = None,
) -> float:
    """Run *script* over and over and return transactions a second."""
    file = Path(stage.directory / "script.sql")
    file.write_text(script.text)
    defined = [f"--define={name}={value}" for name, value in (variables or {}).items()]
    answer = subprocess.run(  # noqa: S603 - found beside PostgreSQL
        [
            str(stage.pgbench),
            "--no-vacuum",
            f"--protocol={'simple' if script.simple else 'prepared'}",
            f"--client={clients}",
            "--jobs=1",
            f"--time={max(1, round(seconds))}",
            f"--file={file}",
            *defined,
            url,
        ],
        capture_output=True,
        text=True,
        check=False,
    )
    found = _TPS.search(answer.stdout)
    if answer.returncode or found is None or "number of failed transactions: 0 " not in answer.stdout:
        raise RuntimeError(f"pgbench failed:\n{answer.stdout}{answer.stderr}")
    return float(found[1])
