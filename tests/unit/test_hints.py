"""Hints go to who subscribes to what came: once in a while, never twice for the same news."""

from collections.abc import Collection, Sequence
from datetime import datetime

from rustok.events.hints import CoalescedHints, Sweep
from rustok.kernel.errors import Unavailable
from rustok.runtime import LocalWake
from rustok.testing import FixedClock

SUBSCRIPTIONS = {"products": ("commerce.product.*",), "nodes": ("content.node.*",)}


class Sent:
    """Takes hints; refuses them while `is_away`."""

    def __init__(self) -> None:
        self.hints: list[list[str]] = []
        self.is_away = False

    async def __call__(self, consumers: Sequence[str]) -> None:
        if self.is_away:
            raise Unavailable("Redis is away")
        self.hints.append(list(consumers))


class Laggards:
    """A store that knows who is behind, and when it was asked."""

    def __init__(self, *behind: str) -> None:
        self._behind = behind
        self.asked_at: list[datetime] = []

    async def behind(self, now: datetime) -> Collection[str]:
        self.asked_at.append(now)
        return self._behind


def hints_to(sent: Sent) -> CoalescedHints:
    return CoalescedHints(SUBSCRIPTIONS, sent, FixedClock(), LocalWake())


async def test_only_subscribers_of_what_came_are_hinted() -> None:
    """A consumer of other events would open a transaction to find nothing."""
    sent = Sent()
    hints = hints_to(sent)

    hints.announce({"commerce.product.created", "tenants.tenant.created"})
    await hints.run_once()

    assert sent.hints == [["products"]]


async def test_a_consumer_with_news_twice_is_hinted_once() -> None:
    """Whoever comes reads everything that is there."""
    sent = Sent()
    hints = hints_to(sent)

    for _batch in range(2):
        hints.announce({"content.node.created"})
    counts = [await hints.run_once(), await hints.run_once()]

    assert (counts, sent.hints) == ([1, 0], [["nodes"]])


async def test_hints_that_cannot_be_sent_are_left_to_the_sweep() -> None:
    """A hint is never worth waiting for."""
    sent = Sent()
    hints = hints_to(sent)
    sent.is_away = True
    hints.announce({"content.node.created"})

    lost = await hints.run_once()
    sent.is_away = False

    assert (lost, await hints.run_once(), sent.hints) == (0, 0, [])


async def test_a_consumer_of_another_release_is_left_alone() -> None:
    """Its checkpoints are still there; no worker of this release knows it."""
    sent = Sent()
    hints = hints_to(sent)

    hints.add(["gone", "nodes"])
    await hints.run_once()

    assert sent.hints == [["nodes"]]


async def test_the_sweep_hints_at_everyone_who_is_behind() -> None:
    """Whatever became of earlier hints. Retries are due by the sweep's own clock."""
    sent, clock, laggards = Sent(), FixedClock(), Laggards("nodes", "products")
    hints = hints_to(sent)

    count = await Sweep(laggards, hints, clock).run_once()
    await hints.run_once()

    assert (count, sent.hints) == (2, [["nodes", "products"]])
    assert laggards.asked_at == [clock.now()]
