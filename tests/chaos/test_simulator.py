"""The delivery promise, kept in every simulated schedule; and the simulator, which finds every seeded bug."""

import os
import subprocess
import sys
from collections.abc import Mapping

import pytest

from tests.chaos.simulator.bugs import BUGS
from tests.chaos.simulator.runs import Failure, first_failure_of_many, hunted, told

SCHEDULES = int(os.environ.get("RUSTOK_SIMULATED_SCHEDULES", "20000"))
"""Of the deep test: set it to 1000000 for a night."""
A_BUG_SHOWS_WITHIN = 1_000


@pytest.mark.timeout(600)
def test_a_thousand_schedules_keep_the_promise() -> None:
    """Processes die and freeze, answers get lost, servers crash: nothing is lost, doubled or stale, and all settles."""
    failure = first_failure_of_many(range(1_000))

    assert failure is None, told(failure)


@pytest.mark.deep
@pytest.mark.timeout(max(1800, SCHEDULES // 5))
def test_many_schedules_keep_the_promise() -> None:
    """Others than those of every run."""
    failure = first_failure_of_many(range(1_000, 1_000 + SCHEDULES))

    assert failure is None, told(failure)


@pytest.fixture(scope="module")
def found() -> Mapping[str, Failure | None]:
    """What each seeded bug has violated, as it must."""
    return hunted(BUGS, range(A_BUG_SHOWS_WITHIN))


@pytest.mark.timeout(600)
@pytest.mark.parametrize("bug", BUGS)
def test_a_seeded_bug_is_found(found: Mapping[str, Failure | None], bug: str) -> None:
    """A check that cannot fail proves nothing: each mistake violates the invariant that is meant for it."""
    assert found[bug] is not None, f"nobody noticed that it {bug} in {A_BUG_SHOWS_WITHIN} schedules"


def test_every_invariant_has_a_bug_that_violates_it() -> None:
    """Those that the simulator checks: row level security and HTTP are not simulated."""
    assert {bug.shows for bug in BUGS.values()} == {"I1", "I2", "I3", "I4", "I5", "I6", "I8", "I9"}


def test_a_seed_is_replayed_exactly() -> None:
    """In another process, with other addresses and another order of sets: what failed once fails again."""
    replay = [sys.executable, "-m", "tests.chaos.simulator", "--seed", "7", "--trace"]

    traces = [
        subprocess.run(replay, check=True, capture_output=True, env={**os.environ, "PYTHONHASHSEED": seed}).stdout  # noqa: S603
        for seed in ("1", "2")
    ]

    assert traces[0] == traces[1]
    assert traces[0].count(b"\n") > 100
