"""Hints go to who subscribes to what a shard got: once in a while, never twice for the same news."""

from collections.abc import Sequence

from rustok.events.hints import CoalescedHints, Shard
from rustok.events.sequencer import Sequenced
from rustok.kernel.errors import Unavailable
from rustok.testing import FixedClock

SUBSCRIPTIONS = {"products": ("commerce.product.*",), "nodes": ("content.node.*",)}


class Sent:
    """Takes hints; refuses them while `is_away`."""

    def __init__(self) -> None:
        self.hints: list[list[Shard]] = []
        self.is_away = False

    async def __call__(self, shards: Sequence[Shard]) -> None:
        if self.is_away:
            raise Unavailable("Redis is away")
        self.hints.append(list(shards))


def moved(shard: int, *types: str) -> Sequenced:
    return Sequenced(shard, last_position=1, events=len(types), types=types)


async def test_only_subscribers_of_what_came_are_hinted() -> None:
    """A consumer of other events would open a transaction to find nothing."""
    sent = Sent()
    hints = CoalescedHints(SUBSCRIPTIONS, sent, FixedClock())

    await hints.shards_moved([moved(3, "commerce.product.created"), moved(4, "tenants.tenant.created")])
    await hints.run_once()

    assert sent.hints == [[("products", 3)]]


async def test_a_shard_that_moved_twice_is_hinted_once() -> None:
    """Whoever comes reads everything that is there."""
    sent = Sent()
    hints = CoalescedHints(SUBSCRIPTIONS, sent, FixedClock())

    for _batch in range(2):
        await hints.shards_moved([moved(3, "content.node.created")])
    counts = [await hints.run_once(), await hints.run_once()]

    assert (counts, sent.hints) == ([1, 0], [[("nodes", 3)]])


async def test_hints_that_cannot_be_sent_are_left_to_the_sweep() -> None:
    """A hint is never worth waiting for."""
    sent = Sent()
    hints = CoalescedHints(SUBSCRIPTIONS, sent, FixedClock())
    sent.is_away = True
    await hints.shards_moved([moved(3, "content.node.created")])

    lost = await hints.run_once()
    sent.is_away = False

    assert (lost, await hints.run_once(), sent.hints) == (0, 0, [])


async def test_a_consumer_of_another_release_is_left_alone() -> None:
    """Its checkpoints are still there; no worker of this release knows it."""
    sent = Sent()
    hints = CoalescedHints(SUBSCRIPTIONS, sent, FixedClock())

    hints.add([("gone", 1), ("nodes", 2)])
    await hints.run_once()

    assert sent.hints == [[("nodes", 2)]]
