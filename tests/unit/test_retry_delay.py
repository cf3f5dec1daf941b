"""When a job that has failed is tried again: any time up to a bound that grows, so that retries do not come at once."""

from collections.abc import Collection, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

import pytest

from rustok.jobs import Leased
from rustok.jobs.runner import JobRunner, RunnerConfig, retry_delay_s
from rustok.runtime import SystemClock


class Chance:
    """Falls on this part of the way between the bounds that it is given, which it remembers."""

    def __init__(self, part: float) -> None:
        self.part = part
        self.bounds: list[tuple[float, float]] = []

    def uniform(self, lowest: float, highest: float) -> float:
        self.bounds.append((lowest, highest))
        return lowest + self.part * (highest - lowest)


class Ledger:
    """Has one job, at this attempt, and remembers in how many seconds it is to be tried again."""

    def __init__(self, attempt: int, max_attempts: int = 10) -> None:
        self.job = leased(attempt, max_attempts)
        self.failed: list[float | None] = []

    async def grant(self, _ids: Sequence[UUID], _lease_s: float) -> Sequence[Leased]:
        return [self.job]

    async def grant_ready(self, _queue: str, _limit: int, _lease_s: float) -> Sequence[Leased]:
        return [self.job]

    async def renew(self, ids: Collection[UUID], _token: UUID, _lease_s: float) -> Mapping[UUID, bool]:
        return dict.fromkeys(ids, False)

    async def release(self, ids: Collection[UUID], token: UUID) -> None:
        raise NotImplementedError

    async def finish(self, ended: Sequence[tuple[Leased, Any]], outcome: str = "done") -> Collection[UUID]:
        raise NotImplementedError

    async def fail(self, _job: Leased, _error: Mapping[str, Any], retry_in_s: float | None) -> None:
        self.failed.append(retry_in_s)

    async def hand_back(self, job: Leased, delay_s: float) -> None:
        raise NotImplementedError

    async def park_unknown(self, job: Leased) -> None:
        raise NotImplementedError


def leased(attempt: int, max_attempts: int) -> Leased:
    return Leased(
        id=UUID(int=1),
        tenant_id=UUID(int=2),
        kind="tenants.count",
        args={},
        attempt=attempt,
        max_attempts=max_attempts,
        is_cancelled=False,
        actor="test:delay",
        correlation_id=UUID(int=3),
        causation_id=None,
        traceparent=None,
        created_at=datetime(2026, 2, 1, tzinfo=UTC),
        token=UUID(int=4),
    )


async def fails(_job: Leased) -> None:
    raise ValueError("boom")


async def have_failed(ledger: Ledger, chance: Chance) -> None:
    """Have a runner with this chance do the ledger's job, which fails."""
    runner = JobRunner(RunnerConfig(), ledger, {"tenants.count": fails}, SystemClock(), chance.uniform)
    await runner.work([ledger.job.id])


def test_any_time_between_nothing_and_a_bound_that_grows_fourfold_is_drawn() -> None:
    """Full jitter: a delay of half the bound and a little would have the retries of an outage come together."""
    chance = Chance(1.0)

    for attempt in range(1, 6):
        retry_delay_s(attempt, chance.uniform)

    assert chance.bounds == [(0, 1), (0, 4), (0, 16), (0, 64), (0, 256)]


def test_the_bound_is_an_hour_at_most() -> None:
    """From the seventh attempt on; the hundredth has no larger one."""
    chance = Chance(1.0)

    for attempt in (6, 7, 8, 100):
        retry_delay_s(attempt, chance.uniform)

    assert chance.bounds == [(0, 1024), (0, 3600), (0, 3600), (0, 3600)]


@pytest.mark.parametrize(("part", "delay_s"), [(0.0, 0.0), (0.25, 4.0), (1.0, 16.0)])
def test_the_delay_is_what_was_drawn(part: float, delay_s: float) -> None:
    """Neither a floor nor a fixed part is added."""
    assert retry_delay_s(3, Chance(part).uniform) == delay_s


@pytest.mark.parametrize(("part", "delay_s"), [(0.0, 0.0), (0.5, 2.0), (1.0, 4.0)])
async def test_the_runner_draws_from_the_chance_that_it_was_given(part: float, delay_s: float) -> None:
    """By the attempt that has failed: a runner that chose by itself could be neither simulated nor replayed."""
    ledger, chance = Ledger(attempt=2), Chance(part)

    await have_failed(ledger, chance)

    assert (chance.bounds, ledger.failed) == ([(0, 4)], [delay_s])


async def test_after_the_last_attempt_nothing_is_drawn() -> None:
    """The job is a dead letter."""
    ledger, chance = Ledger(attempt=2, max_attempts=2), Chance(1.0)

    await have_failed(ledger, chance)

    assert (chance.bounds, ledger.failed) == ([], [None])
