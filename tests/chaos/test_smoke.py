"""Each scenario of `make chaos`, for seconds instead of hours: nothing is lost, doubled or exchanged."""

import time
from collections.abc import Iterator

import pytest

from tests.chaos.opening import Servers, open_servers
from tests.chaos.report import enter, report_path
from tests.chaos.scenarios import SCENARIOS

pytestmark = [pytest.mark.deep, pytest.mark.timeout(600)]


@pytest.fixture(scope="module")
def servers() -> Iterator[Servers]:
    """Servers that are stopped, wiped and cut."""
    with open_servers() as servers:
        yield servers


@pytest.mark.parametrize("name", SCENARIOS)
def test_every_invariant_holds_after_the_faults(servers: Servers, name: str) -> None:
    """Times, I8 among them, are targets of `make chaos` alone: here they would depend on what else the machine does."""
    started_s = time.perf_counter()
    result = SCENARIOS[name].play(servers, "smoke")
    enter(report_path("smoke"), "smoke", name, result, time.perf_counter() - started_s)

    assert {invariant: faults for invariant, faults in result.faults.items() if faults and invariant != "I8"} == {}
