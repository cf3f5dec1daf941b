"""When a parked aggregate is tried again, and when it is given up."""

from datetime import UTC, datetime, timedelta
from uuid import UUID

import pytest

from rustok.events.parking import Parked, ParkedState, RetryPolicy
from rustok.kernel.event import AggregateKey

NOW = datetime(2026, 2, 1, 12, tzinfo=UTC)


@pytest.mark.parametrize(("attempts", "delay_s"), [(1, 1), (2, 4), (3, 16), (4, 64)])
def test_each_failure_waits_four_times_longer(attempts: int, delay_s: int) -> None:
    """The defaults: 1 s, 4 s, 16 s, 64 s."""
    state, due_at = RetryPolicy().next(attempts, NOW)

    assert (state, due_at) == (ParkedState.RETRYING, NOW + timedelta(seconds=delay_s))


@pytest.mark.parametrize("attempts", [5, 6])
def test_after_the_last_attempt_the_aggregate_is_dead(attempts: int) -> None:
    """Five failures make a dead letter; it stays one."""
    state, _ = RetryPolicy().next(attempts, NOW)

    assert state is ParkedState.DEAD


@pytest.mark.parametrize(
    ("state", "late_s", "is_due"),
    [(ParkedState.RETRYING, 0, True), (ParkedState.RETRYING, -0.001, False), (ParkedState.DEAD, 60, False)],
)
def test_a_retry_is_due_from_its_time_on(state: ParkedState, late_s: float, is_due: bool) -> None:
    """A dead letter never is."""
    key = AggregateKey(UUID(int=1), UUID(int=2))
    parked = Parked(key, "wheel", 7, state, 1, NOW, "ValueError: not square", NOW)

    assert parked.is_due(NOW + timedelta(seconds=late_s)) is is_due


def test_one_attempt_means_no_retry() -> None:
    """The first failure is then the last."""
    state, _ = RetryPolicy(attempts=1).next(1, NOW)

    assert state is ParkedState.DEAD
