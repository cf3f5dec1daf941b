"""What a scenario came to, and `chaos-report.json`."""

import json
import os
import platform
import subprocess
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import psutil

from tests.chaos.evidence import Bound

REPORT = Path(__file__).parents[2] / "chaos-report.json"


@dataclass(frozen=True, slots=True)
class Result:
    """`targets` are measured values beside what they may be at most; `faults` are broken invariants, by name."""

    figures: Mapping[str, Any]
    targets: Mapping[str, Bound]
    faults: Mapping[str, Sequence[str]]

    @property
    def missed(self) -> list[str]:
        """What was not reached, in words; empty when everything was."""
        missed = [
            f"{name}: {b.measured:g}, at most {b.most:g}" for name, b in self.targets.items() if b.measured > b.most
        ]
        return missed + [f"{name}: {fault}" for name, faults in self.faults.items() for fault in faults]


def write_report(scale: str, results: Mapping[str, Result], path: Path = REPORT) -> None:
    """Write what a run came to, and where, when and of which commit it was."""
    report = {
        "scale": scale,
        "at": datetime.now(UTC).isoformat(timespec="seconds"),
        "commit": _commit(),
        "machine": {
            "system": platform.platform(),
            "cores": os.cpu_count(),
            "memory_gib": round(psutil.virtual_memory().total / 2**30, 1),
            "load": os.getloadavg()[0],
        },
        "scenarios": {name: _told(result) for name, result in results.items()},
    }
    path.write_text(json.dumps(report, indent=2) + "\n")


def _told(result: Result) -> dict[str, Any]:
    return {
        "met": not result.missed,
        "missed": result.missed[:20],
        "figures": result.figures,
        "targets": {name: asdict(bound) for name, bound in result.targets.items()},
    }


def _commit() -> str:
    command = ["git", "describe", "--always", "--dirty"]
    told = subprocess.run(command, cwd=REPORT.parent, capture_output=True, text=True, check=False)  # noqa: S603 - ours
    return told.stdout.strip() or "unknown"
