"""What a run came to is told whole: what was missed is named, and every scenario has a line in the table."""

import json
from pathlib import Path

from tests.chaos.evidence import Bound
from tests.chaos.report import Result, write_report
from tests.chaos.scenarios import SCENARIOS
from tests.chaos.table import FAULTS, rows

FIGURES = {"events": 12_000, "lost": 0, "doubled": 0, "reordered": 0, "checksums_equal": True, "replays": 3}


def test_a_target_that_was_missed_and_an_invariant_that_was_broken_are_named(tmp_path: Path) -> None:
    """The verdict of a scenario is made of both."""
    result = Result(FIGURES, {"seconds to settle": Bound(61.5, 60.0)}, {"I1": ["log lacks version 2"], "I2": []})

    write_report("full", {"replay": result}, tmp_path / "report.json")

    told = json.loads((tmp_path / "report.json").read_text())["scenarios"]["replay"]
    assert told["met"] is False
    assert told["missed"] == ["seconds to settle: 61.5, at most 60", "I1: log lacks version 2"]


def test_the_table_has_a_line_for_each_scenario(tmp_path: Path) -> None:
    """With what was done and what was found."""
    result = Result(FIGURES, {"seconds to settle": Bound(2.5, 60.0)}, {})
    write_report("full", {"replay": result}, tmp_path / "report.json")

    *_, line = rows(json.loads((tmp_path / "report.json").read_text()))

    assert line == "| the whole log read 3 times more | 12,000 | 0 | 0 | 0 | yes | 2.5 s | yes |"


def test_a_scenario_that_broke_off_is_in_the_table(tmp_path: Path) -> None:
    """It has no figures, which is no reason to be silent about it."""
    write_report("full", {"flood": Result({}, {}, {"broke off": ["TimeoutError: 300 s"]})}, tmp_path / "report.json")

    *_, line = rows(json.loads((tmp_path / "report.json").read_text()))

    assert line == "| flood | | | | | | | **no**: broke off: TimeoutError: 300 s |"


def test_no_scenario_is_missing_from_the_table() -> None:
    """A new scenario says what its line is, in figures."""
    assert FAULTS.keys() == SCENARIOS.keys()
