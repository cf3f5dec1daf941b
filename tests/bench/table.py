"""What a benchmark found, and the table that all of them end in."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Literal, NamedTuple

from rich.console import Console
from rich.table import Table


class Target(NamedTuple):
    """A bound on the ratio to the peer, or on our own figure where `of` says so."""

    bound: Literal[">=", "<="]
    value: float
    of: Literal["ratio", "ours"] = "ratio"

    def __str__(self) -> str:
        return f"{self.bound} {shown(self.value)}"

    def is_met_by(self, value: float) -> bool:
        return value >= self.value if self.bound == ">=" else value <= self.value


@dataclass(frozen=True, slots=True)
class Finding:
    """One line: our figure, what stands beside it, measured in the same run, and what we aim at.

    `peer` is None where there is nothing to compare with; `target` is None where a figure is only told.
    """

    name: str
    ours: float
    unit: str
    peer: float | None = None
    peer_name: str = ""
    target: Target | None = None

    @property
    def ratio(self) -> float | None:
        return self.ours / self.peer if self.peer else None

    @property
    def is_met(self) -> bool | None:
        """Whether the target is met; None without a target."""
        if self.target is None:
            return None
        value = self.ours if self.target.of == "ours" else self.ratio
        return value is not None and self.target.is_met_by(value)


@dataclass(frozen=True, slots=True)
class Report:
    """What one benchmark found. `method` says what was measured and how, in words."""

    benchmark: str
    method: str
    findings: Sequence[Finding]
    notes: Sequence[str] = ()


def print_reports(reports: Iterable[Report], console: Console) -> None:
    """Print the table of all findings, then how each was measured."""
    reports = list(reports)
    table = Table("benchmark", "ours", "beside it", "ratio", "target", "met")
    for report in reports:
        for finding in report.findings:
            table.add_row(f"{report.benchmark}: {finding.name}", *_cells(finding))
        table.add_section()
    console.print(table)
    for report in reports:
        console.print(f"[bold]{report.benchmark}[/]: {report.method}", highlight=False)
        for note in report.notes:
            console.print(f"  {note}", highlight=False, markup=False)


def shown(value: float) -> str:
    """Return *value* with three significant digits, thousands separated."""
    if value >= 100:
        return f"{value:,.0f}"
    return f"{value:.3g}"


def _cells(finding: Finding) -> tuple[str, str, str, str, str]:
    beside = f"{shown(finding.peer)} {finding.peer_name}" if finding.peer is not None else finding.peer_name
    verdict = {True: "[green]yes[/]", False: "[red]NO[/]", None: ""}[finding.is_met]
    return (
        f"{shown(finding.ours)} {finding.unit}",
        beside,
        shown(finding.ratio) if finding.ratio is not None else "",
        str(finding.target or ""),
        verdict,
    )
