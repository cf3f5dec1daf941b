"""What a scenario came to, and `chaos-report.json`, which keeps the last run of each."""

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

from tests.chaos.evidence import Bound, Hits

_CHECKOUT = Path(__file__).parents[2]


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


def unproven(controls: Mapping[str, Hits]) -> list[str]:
    """Name what was to be hit and was not, or not often enough: a run that was not harmed proves nothing."""
    return [
        f"{name}: {hits.count:g}, and fewer than {hits.least:g} prove nothing"
        for name, hits in controls.items()
        if hits.count < hits.least
    ]


def report_path(scale: str) -> Path:
    """Return the file of a scale: a run of seconds does not replace what hours have found."""
    return _CHECKOUT / ("chaos-report.json" if scale == "full" else f"chaos-report-{scale}.json")


def enter(path: Path, scale: str, name: str, result: Result, seconds: float) -> None:
    """Replace the entry of a scenario in the report at *path*; those of others stay, if they are of this scale."""
    earlier = json.loads(path.read_text()) if path.exists() else {}
    kept = earlier["scenarios"] if earlier.get("scale") == scale else {}
    report = {"scale": scale, "scenarios": {**kept, name: _told(result, seconds)}}
    unfinished = path.with_suffix(".unfinished")
    unfinished.write_text(json.dumps(report, indent=2) + "\n")
    unfinished.replace(path)


def _told(result: Result, seconds: float) -> dict[str, Any]:
    return {
        "at": datetime.now(UTC).isoformat(timespec="seconds"),
        "commit": _commit(),
        "seconds": round(seconds),
        "machine": {
            "system": f"{platform.system()} {platform.machine()}",
            "cores": os.cpu_count(),
            "memory_gib": round(psutil.virtual_memory().total / 2**30, 1),
            "load": round(os.getloadavg()[0], 1),
        },
        "met": not result.missed,
        "missed": result.missed[:20],
        "figures": result.figures,
        "targets": {name: asdict(bound) for name, bound in result.targets.items()},
    }


def _commit() -> str:
    """Return which code is run; a report that scenarios have written makes it no other."""
    changes = _git("status", "--porcelain", "--untracked-files=no", "--", ".", f":!{report_path('full').name}")
    return (_git("rev-parse", "--short", "HEAD") or "unknown") + ("-dirty" if changes else "")


def _git(*arguments: str) -> str:
    command = ["git", *arguments]
    return subprocess.run(command, cwd=_CHECKOUT, capture_output=True, text=True, check=False).stdout.strip()  # noqa: S603 - ours
