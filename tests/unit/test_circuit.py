"""A server that fails is spared: no calls for a while, one to try it, and few that are repetitions."""

import pytest

from rustok.egress import CallPutOff, Circuit, CircuitConfig, CircuitOpen, RetryBudgetSpent
from rustok.testing import FixedClock

CONFIG = CircuitConfig(
    failures=3,
    open_s=30,
    longest_open_s=100,
    trial_s=20,
    retry_share=0.5,
    retries_a_s=0.1,
    retries_saved=2,
)


class Server:
    """A server, as one tenant's calls know it."""

    def __init__(self) -> None:
        self.clock = FixedClock()
        self.circuit = Circuit(CONFIG, self.clock)

    def call(self, *, fails: bool = False, is_retry: bool = False) -> None:
        self.circuit.enter(is_retry=is_retry)
        if fails:
            self.circuit.failed()
        else:
            self.circuit.succeeded()

    def wait_s(self, *, is_retry: bool = False) -> float:
        """Return for how long the next call is put off; 0 if it may be made, which begins a trial."""
        try:
            self.circuit.enter(is_retry=is_retry)
        except CallPutOff as error:
            return error.wait_s
        return 0.0


@pytest.fixture
def server() -> Server:
    return Server()


@pytest.fixture
def failing(server: Server) -> Server:
    """A server whose circuit has just been opened."""
    for _ in range(CONFIG.failures):
        server.call(fails=True)
    return server


def test_failures_in_a_row_open_the_circuit(failing: Server) -> None:
    """Calls are refused at once, with how long to wait."""
    with pytest.raises(CircuitOpen, match=r"The last 3 calls failed: the next one is in 30 s\."):
        failing.call()

    failing.clock.advance(29)
    assert failing.wait_s() == 1


def test_a_success_between_failures_keeps_it_closed(server: Server) -> None:
    """Only failures in a row tell that a server is down."""
    for _ in range(5):
        server.call(fails=True)
        server.call(fails=True)
        server.call()

    assert server.wait_s() == 0


def test_one_call_tries_the_server_again(failing: Server) -> None:
    """The others wait for what comes of it, be they first calls or repetitions."""
    failing.clock.advance(30)

    waits = [failing.wait_s(is_retry=is_retry) for is_retry in (True, False, True)]

    assert waits == [0, 20, 20]


def test_a_trial_that_succeeds_closes_the_circuit(failing: Server) -> None:
    """All calls are made again."""
    failing.clock.advance(30)
    failing.call()

    assert [failing.wait_s() for _ in range(3)] == [0, 0, 0]


def test_a_trial_that_fails_opens_it_for_twice_as_long(failing: Server) -> None:
    """Up to a limit; a success starts from the beginning."""
    waits = []
    for wait_s in (30.0, 60.0, 100.0):
        failing.clock.advance(wait_s)
        failing.call(fails=True)
        waits.append(failing.wait_s())
    failing.clock.advance(100)
    failing.call()
    for _ in range(CONFIG.failures):
        failing.call(fails=True)

    assert (waits, failing.wait_s()) == ([60, 100, 100], 30)


def test_a_server_that_is_away_for_weeks_is_tried_now_and_then(failing: Server) -> None:
    """However often it has failed."""
    for _ in range(2_000):
        failing.clock.advance(100)
        failing.call(fails=True)

    assert failing.wait_s() == 100


def test_a_trial_of_which_nothing_is_heard_is_made_again(failing: Server) -> None:
    """Its worker may have been stopped."""
    failing.clock.advance(30)
    failing.wait_s()

    failing.clock.advance(20)

    assert failing.wait_s() == 0


def test_calls_that_were_under_way_when_it_opened_do_not_keep_it_open_for_longer(failing: Server) -> None:
    """Twice as long is for trials that failed, not for a crowd that failed together."""
    for _ in range(50):
        failing.circuit.failed()

    assert failing.wait_s() == 30


def test_repetitions_are_a_share_of_the_calls(server: Server) -> None:
    """Two are saved up; then each takes two first calls."""
    made = [server.wait_s(is_retry=True) == 0 for _ in range(3)]
    for _ in range(4):
        server.call()
    made += [server.wait_s(is_retry=True) == 0 for _ in range(3)]

    assert made == [True, True, False, True, True, False]


def test_a_repetition_beyond_the_budget_is_told_when_to_come(server: Server) -> None:
    """A few are allowed without any first call."""
    for _ in range(2):
        server.call(is_retry=True)

    with pytest.raises(RetryBudgetSpent, match="More than 50% of the calls are repetitions"):
        server.call(is_retry=True)
    wait_s = server.wait_s(is_retry=True)
    server.clock.advance(wait_s)

    assert (wait_s, server.wait_s(is_retry=True)) == (10, 0)


def test_no_more_repetitions_are_saved_up_than_the_budget_holds(server: Server) -> None:
    """A quiet week is no licence for a storm."""
    for _ in range(100):
        server.call()
    server.clock.advance(10_000)

    assert [server.wait_s(is_retry=True) == 0 for _ in range(3)] == [True, True, False]
