"""The feeder hints at what is ready, once, and again when a hint must have been lost."""

from collections.abc import Collection, Sequence
from itertools import chain
from uuid import UUID

import pytest

from rustok.jobs.feeder import Feeder, FeederConfig
from rustok.kernel.errors import Unavailable
from rustok.kernel.ids import uuid7
from rustok.runtime import LocalWake
from rustok.testing import FixedClock


class ReadyJobs:
    """Jobs of one queue that are ready until somebody leases them."""

    def __init__(self, count: int) -> None:
        self.ids = [uuid7() for _ in range(count)]

    async def ready(self, queue: str, except_ids: Collection[UUID], limit: int) -> Sequence[UUID]:
        assert queue == "sums"
        return [job_id for job_id in self.ids if job_id not in except_ids][:limit]

    async def still_ready(self, ids: Collection[UUID]) -> set[UUID]:
        return set(ids) & set(self.ids)

    def lease(self, count: int) -> None:
        del self.ids[:count]


class Sent:
    """Takes messages; refuses them while `is_away`."""

    def __init__(self) -> None:
        self.messages: list[list[UUID]] = []
        self.is_away = False

    async def __call__(self, _queue: str, chunks: Sequence[Sequence[UUID]]) -> None:
        if self.is_away:
            raise Unavailable("Redis is away")
        self.messages += [list(chunk) for chunk in chunks]


class Fed:
    """A feeder between `jobs` and `sent`."""

    def __init__(self, count: int) -> None:
        self.jobs, self.sent, self.clock = ReadyJobs(count), Sent(), FixedClock()
        self.feeder = Feeder(
            FeederConfig(ids_a_message=10, messages=4),
            {"sums": 40},
            store=self.jobs,
            send=self.sent,
            clock=self.clock,
            wake=LocalWake(),
        )


async def test_what_is_ready_is_hinted_at_once() -> None:
    """A second look finds nothing to say."""
    fed = Fed(3)

    counts = [await fed.feeder.run_once(), await fed.feeder.run_once()]

    assert (counts, [*chain(*fed.sent.messages)]) == ([3, 0], fed.jobs.ids)


@pytest.mark.parametrize(("ready", "sizes"), [(1, [1]), (4, [1, 1, 1, 1]), (8, [2, 2, 2, 2]), (60, [10, 10, 10, 10])])
async def test_few_jobs_are_spread_and_many_share_messages(ready: int, sizes: list[int]) -> None:
    """So several workers have something to do, and a backlog costs few messages; the window bounds it."""
    fed = Fed(ready)

    await fed.feeder.run_once()

    assert [len(message) for message in fed.sent.messages] == sizes


async def test_the_window_moves_on_as_jobs_are_leased() -> None:
    """What nobody has taken up yet is not piled up; for a few places that came free nobody looks."""
    fed = Fed(80)
    await fed.feeder.run_once()

    sent = []
    for _ in range(3):
        fed.jobs.lease(15)
        sent.append(await fed.feeder.run_once())

    assert sent == [0, 30, 0]


async def test_a_lost_hint_is_sent_again() -> None:
    """Redis may forget whatever it was told."""
    fed = Fed(1)
    await fed.feeder.run_once()

    fed.clock.advance(FeederConfig().hint_lost_s + 1)
    await fed.feeder.run_once()

    assert fed.sent.messages == [fed.jobs.ids, fed.jobs.ids]


async def test_hints_that_cannot_be_sent_come_back_later() -> None:
    """Not at once: that would only load what is away."""
    fed = Fed(1)
    fed.sent.is_away = True
    await fed.feeder.run_once()
    fed.sent.is_away = False

    at_once = await fed.feeder.run_once()
    fed.clock.advance(FeederConfig().hint_lost_s + 1)
    await fed.feeder.run_once()

    assert (at_once, fed.sent.messages) == (0, [fed.jobs.ids])
