"""Each scenario of `make chaos`, for seconds instead of hours: nothing is lost, doubled or exchanged."""

from collections.abc import Iterator

import pytest

from tests.chaos.opening import Servers, open_servers
from tests.chaos.report import REPORT, Result, write_report
from tests.chaos.scenarios import SCENARIOS

pytestmark = [pytest.mark.deep, pytest.mark.timeout(600)]


@pytest.fixture(scope="module")
def servers() -> Iterator[Servers]:
    """Servers that are stopped, wiped and cut."""
    with open_servers() as servers:
        yield servers


@pytest.fixture(scope="module")
def results() -> Iterator[dict[str, Result]]:
    """What was found; in the end it is `chaos-report-smoke.json`, beside the report of a full run."""
    results: dict[str, Result] = {}
    yield results
    write_report("smoke", results, REPORT.with_name("chaos-report-smoke.json"))


@pytest.mark.parametrize("name", SCENARIOS)
def test_every_invariant_holds_after_the_faults(servers: Servers, results: dict[str, Result], name: str) -> None:
    """Times are targets of `make chaos` alone: here they would depend on what else the machine does."""
    results[name] = SCENARIOS[name].play(servers, "smoke")

    assert {invariant: faults for invariant, faults in results[name].faults.items() if faults} == {}
