"""What a run came to is told whole: what was missed is named, and every scenario has a line in the table."""

import json
from pathlib import Path
from typing import Any

import pytest

from tests.chaos.evidence import Bound, Hits
from tests.chaos.report import Result, enter, report_path, unproven
from tests.chaos.scenarios import SCENARIOS
from tests.chaos.table import FAULTS, rows

FIGURES = {
    "events": 12_000,
    "lost": 0,
    "doubled": 0,
    "reordered": 0,
    "checksums_equal": True,
    "replays": 3,
    "calls": 100,
}
WELL = Result(FIGURES, {"seconds to settle": Bound(2.5, 60.0)}, {})


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """Return where a report is to be."""
    return tmp_path / "report.json"


def told(path: Path) -> Any:
    return json.loads(path.read_text())


def test_a_target_that_was_missed_and_an_invariant_that_was_broken_are_named(path: Path) -> None:
    """The verdict of a scenario is made of both."""
    result = Result(FIGURES, {"seconds to settle": Bound(61.5, 60.0)}, {"I1": ["log lacks version 2"], "I2": []})

    enter(path, "full", "replay", result, seconds=100.0)

    entry = told(path)["scenarios"]["replay"]
    assert entry["met"] is False
    assert entry["missed"] == ["seconds to settle: 61.5, at most 60", "I1: log lacks version 2"]


def test_a_run_replaces_its_own_entry_and_keeps_the_others(path: Path) -> None:
    """Nobody runs for hours at a stretch: a report is of the last run of each scenario."""
    enter(path, "full", "flood", WELL, seconds=100.0)
    enter(path, "full", "replay", WELL, seconds=200.0)
    flood = told(path)["scenarios"]["flood"]

    enter(path, "full", "replay", WELL, seconds=300.0)

    assert told(path)["scenarios"]["flood"] == flood
    assert told(path)["scenarios"]["replay"]["seconds"] == 300


def test_an_entry_says_when_where_and_of_which_commit_it_is(path: Path) -> None:
    """Each for itself, and the load that the machine had besides."""
    enter(path, "full", "replay", WELL, seconds=100.0)

    entry = told(path)["scenarios"]["replay"]
    assert {"at", "commit", "seconds"} <= entry.keys()
    assert {"cores", "memory_gib", "load"} <= entry["machine"].keys()


def test_a_run_at_another_scale_starts_anew(path: Path) -> None:
    """What seconds have found says nothing about what hours would."""
    enter(path, "smoke", "flood", WELL, seconds=1.0)

    enter(path, "full", "replay", WELL, seconds=100.0)

    assert told(path)["scale"] == "full"
    assert told(path)["scenarios"].keys() == {"replay"}


def test_a_run_for_seconds_does_not_replace_the_report_of_hours() -> None:
    """It has a file of its own."""
    assert report_path("full").name == "chaos-report.json"
    assert report_path("smoke").name == "chaos-report-smoke.json"


def test_a_control_that_counted_too_little_is_named() -> None:
    """Where nothing was refused, nothing had to be; and one kill in a thousand is as good as none."""
    controls = {
        "late runs that were refused": Hits(0),
        "kills while jobs were leased": Hits(1, least=500),
        "messages that were handled twice": Hits(7),
    }

    assert unproven(controls) == [
        "late runs that were refused: 0, and fewer than 1 prove nothing",
        "kills while jobs were leased: 1, and fewer than 500 prove nothing",
    ]


def test_the_table_has_a_line_for_each_scenario(path: Path) -> None:
    """With what was done, what was found, and the run that it is of."""
    enter(path, "full", "replay", WELL, seconds=150.0)
    report = told(path)
    report["scenarios"]["replay"] |= {"commit": "abc1234", "at": "2026-11-26T12:00:00+00:00", "machine": {"cores": 2}}

    *_, line = rows(report)

    found = (
        "| the whole log read 3 times more; 100 calls, none of them again | 12,000 | 0 | 0 | 0 | yes | 2.5 s | yes |"
    )
    assert line == f"{found} abc1234, 2026-11-26, 2 min on 2 cores |"


def test_what_a_scenario_does_not_look_at_is_not_in_the_table(path: Path) -> None:
    """Where nobody consumes anything, that nothing is doubled says nothing."""
    figures = {**FIGURES, "doubled": None, "checksums_equal": None}
    enter(path, "full", "replay", Result(figures, WELL.targets, {}), seconds=150.0)

    *_, line = rows(told(path))

    assert "| 12,000 | 0 | - | 0 | - | 2.5 s | yes |" in line


def test_a_scenario_that_broke_off_is_in_the_table(path: Path) -> None:
    """It has no figures, which is no reason to be silent about it."""
    enter(path, "full", "flood", Result({}, {}, {"broke off": ["TimeoutError: 300 s"]}), seconds=300.0)

    *_, line = rows(told(path))

    assert line.startswith("| flood | | | | | | | **no**: broke off: TimeoutError: 300 s |")


def test_no_scenario_is_missing_from_the_table() -> None:
    """A new scenario says what its line is, in figures."""
    assert FAULTS.keys() == SCENARIOS.keys()
