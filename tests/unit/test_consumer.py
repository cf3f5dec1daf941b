"""The consumer's own logic, over a store of lists: batches, isolation, parking, retries."""

from datetime import timedelta

import pytest

from rustok.events.consumer import AggregatesFailed, Consumer, ConsumerConfig, Counts, Drained
from rustok.events.parking import Parked, ParkedState, RetryPolicy
from rustok.kernel.errors import Unavailable
from rustok.kernel.event import shard_of
from rustok.testing import FixedClock
from tests.unit.log_by_hand import ListStore, Log, Painted, RecordingHandler, key_of

POISON = ValueError("a wheel is not square")


class Workshop:
    """A consumer with everything around it."""

    def __init__(
        self, *, batch: int = 100, attempts: int = 5, batches_a_drain: int = 20, names_the_culprits: bool = False
    ) -> None:
        self.log = Log()
        self.store = ListStore(self.log)
        self.clock = FixedClock()
        self.handler = RecordingHandler(names_the_culprits=names_the_culprits)
        retry = RetryPolicy(attempts=attempts, first_delay_s=10.0, growth=1.0)
        config = ConsumerConfig(batch=batch, batches_a_drain=batches_a_drain, retry=retry)
        self.consumer = Consumer(config, self.store, self.clock, self.handler)

    async def run_once(self) -> Counts | None:
        return await self.consumer.run_once()

    @property
    def versions(self) -> dict[str, list[int]]:
        """The versions that took effect, by aggregate, in order."""
        found: dict[str, list[int]] = {}
        for name, version in self.store.effects:
            found.setdefault(name, []).append(version)
        return found

    @property
    def parked(self) -> dict[str, tuple[ParkedState, int, int]]:
        """State, attempts and position of what is parked, by aggregate."""
        return {chr(key.aggregate_id.int): (p.state, p.attempts, p.position) for key, p in self.store.parked.items()}


async def test_a_batch_takes_effect_in_the_order_of_the_log() -> None:
    """Whatever their shards. Effects and checkpoints are one commit."""
    shop = Workshop()
    shop.log.write("a", "b", "a")

    counts = await shop.run_once()

    assert shop.store.effects == [("a", 1), ("b", 1), ("a", 2)]
    assert (shop.store.unread, shop.store.commits) == ([], 1)
    assert counts == Counts(read=3, handled=3)


async def test_a_run_without_news_changes_nothing() -> None:
    """The handler is not even called."""
    shop = Workshop()

    assert await shop.run_once() is None
    assert shop.handler.batches == []


async def test_events_that_nobody_subscribed_to_are_passed_over() -> None:
    """The checkpoint moves on past them."""
    shop = Workshop()
    shop.log.write("a")
    shop.log.write("a", "b", event=Painted)

    counts = await shop.run_once()

    assert shop.store.effects == [("a", 1)]
    assert (shop.store.unread, counts) == ([], Counts(read=3, handled=1))


async def test_a_shard_that_somebody_else_holds_is_left_alone() -> None:
    """The others are worked on; the holder will look once more when it lets go."""
    shop = Workshop()
    shop.log.write("a", "b")
    shop.store.held = {shard_of(key_of("a"))}

    drained = await shop.consumer.drain()

    assert (shop.store.effects, shop.store.unread) == ([("b", 1)], [1])
    assert drained == Drained(Counts(read=1, handled=1), has_more=False)


async def test_draining_goes_on_until_there_is_nothing_new() -> None:
    """Batch by batch, each with a commit of its own."""
    shop = Workshop(batch=2)
    shop.log.write(*"abcde")

    drained = await shop.consumer.drain()

    assert drained == Drained(Counts(read=5, handled=5), has_more=False)
    assert (shop.handler.batches, shop.store.commits) == ([2, 2, 1], 3)


async def test_the_checkpoint_of_a_shard_is_the_last_that_was_read_of_it() -> None:
    """A batch may end in the middle of a shard, and before the first event of another."""
    shop = Workshop(batch=3)
    shop.log.write("a", "b", "a", "c", "b")

    await shop.run_once()

    assert shop.store.unread == [4, 5]


async def test_a_drain_ends_under_endless_load() -> None:
    """A process that is to stop waits for it; whoever called it is told to call again."""
    shop = Workshop(batch=1, batches_a_drain=3)
    shop.log.write(*"abcde")

    first, second = await shop.consumer.drain(), await shop.consumer.drain()

    assert first == Drained(Counts(read=3, handled=3), has_more=True)
    assert second == Drained(Counts(read=2, handled=2), has_more=False)


async def test_a_drain_that_can_do_nothing_does_not_ask_for_another() -> None:
    """What is due may be locked by somebody: to come back at once would be a busy loop."""
    shop = Workshop()
    shop.log.write("a")
    shop.handler.broken = {"a": POISON}
    await shop.run_once()
    shop.clock.advance(10)
    shop.store.locked = {key_of("a")}

    drained = await shop.consumer.drain()

    assert drained == Drained(Counts(), has_more=False)


async def test_the_holder_looks_once_more_after_letting_go() -> None:
    """An event that came during the last commit had its wake-up dropped, for the shard was taken."""
    shop = Workshop()
    shop.log.write("a")

    def once() -> None:
        shop.store.before_release = lambda: None
        shop.log.write("b")

    shop.store.before_release = once
    await shop.consumer.drain()

    assert shop.store.effects == [("a", 1), ("b", 1)]


@pytest.mark.parametrize("names_the_culprits", [True, False], ids=["named", "found by halving"])
async def test_a_poisoned_aggregate_is_parked_and_its_neighbours_go_on(names_the_culprits: bool) -> None:
    """At its first event, with one attempt counted, whether the handler knows the culprit or not."""
    shop = Workshop(names_the_culprits=names_the_culprits)
    shop.log.write("a", "b", "c", "b", "d", "e", "a")
    shop.handler.broken = {"b": POISON}

    counts = await shop.run_once()

    assert shop.versions == {"a": [1, 2], "c": [1], "d": [1], "e": [1]}
    assert shop.parked == {"b": (ParkedState.RETRYING, 1, 2)}
    assert (shop.store.unread, counts) == ([], Counts(read=7, handled=7, parked=1))


@pytest.mark.parametrize("names_the_culprits", [True, False], ids=["named", "found by halving"])
async def test_every_poisoned_aggregate_of_a_batch_is_parked(names_the_culprits: bool) -> None:
    """One failure does not hide another."""
    shop = Workshop(names_the_culprits=names_the_culprits)
    shop.log.write(*"abcdef")
    shop.handler.broken = {"a": POISON, "d": KeyError("hub"), "f": POISON}

    await shop.run_once()

    assert sorted(shop.parked) == ["a", "d", "f"]
    assert shop.versions == {"b": [1], "c": [1], "e": [1]}


async def test_a_batch_of_nothing_but_poison_is_parked_whole() -> None:
    """Also then the checkpoints go on."""
    shop = Workshop()
    shop.log.write(*"abc")
    shop.handler.broken = {"a": POISON, "b": POISON, "c": POISON}

    await shop.run_once()

    assert (sorted(shop.parked), shop.store.unread, shop.store.effects) == (["a", "b", "c"], [], [])


async def test_a_handler_that_names_nobody_of_the_batch_does_not_stop_the_others() -> None:
    """Its report is worth nothing, so the culprit is found by halving."""
    shop = Workshop()
    shop.log.write("a", "b")
    shop.handler.broken = {"b": AggregatesFailed({key_of("z"): POISON})}

    await shop.run_once()

    assert (shop.parked, shop.versions) == ({"b": (ParkedState.RETRYING, 1, 2)}, {"a": [1]})


async def test_a_parked_aggregate_tells_what_happened_and_when() -> None:
    """The first line of the error, for whoever looks."""
    shop = Workshop()
    shop.log.write("a")
    shop.handler.broken = {"a": ValueError("not square\nDETAIL: a wheel")}

    await shop.run_once()

    now = shop.clock.now()
    assert shop.store.parked[key_of("a")] == Parked(
        key=key_of("a"),
        aggregate_type="wheel",
        position=1,
        state=ParkedState.RETRYING,
        attempts=1,
        due_at=now + timedelta(seconds=10),
        error="ValueError: not square",
        parked_at=now,
    )


@pytest.mark.parametrize("error", [ConnectionResetError(), TimeoutError(), Unavailable("gone")])
async def test_a_failure_of_a_server_changes_nothing_and_counts_nothing(error: Exception) -> None:
    """It is the caller's to come back; no aggregate is to blame."""
    shop = Workshop()
    shop.log.write("a", "b")
    shop.handler.broken = {"b": error}

    with pytest.raises(type(error)):
        await shop.run_once()

    assert (shop.store.unread, shop.store.effects, shop.store.parked, shop.store.commits) == ([1, 2], [], {}, 0)


async def test_a_server_that_fails_while_a_culprit_is_sought_changes_nothing() -> None:
    """Half a search is no result."""
    shop = Workshop()
    shop.log.write("a", "b", "c")
    shop.handler.broken = {"a": POISON, "c": ConnectionResetError()}

    with pytest.raises(ConnectionResetError):
        await shop.run_once()

    assert (shop.store.unread, shop.store.effects, shop.store.parked) == ([1, 2, 3], [], {})


async def test_a_server_that_fails_during_a_retry_counts_no_attempt() -> None:
    """The aggregate stays as it was."""
    shop = Workshop()
    shop.log.write("a")
    shop.handler.broken = {"a": POISON}
    await shop.run_once()
    shop.clock.advance(10)
    shop.handler.broken = {"a": TimeoutError()}

    with pytest.raises(TimeoutError):
        await shop.run_once()

    assert shop.parked == {"a": (ParkedState.RETRYING, 1, 1)}


async def test_later_events_of_a_parked_aggregate_wait() -> None:
    """They queue behind it in the log, even though they could be handled."""
    shop = Workshop()
    shop.log.write("a")
    shop.handler.broken = {"a": POISON}
    await shop.run_once()
    shop.handler.broken = {}
    shop.log.write("a", "b", "a")

    await shop.run_once()

    assert (shop.versions, shop.store.unread) == ({"b": [1]}, [])
    assert shop.parked == {"a": (ParkedState.RETRYING, 1, 1)}


async def test_a_retry_that_succeeds_replays_what_waited_in_order() -> None:
    """From the first event not applied to the last one read."""
    shop = Workshop()
    shop.log.write("a", "b")
    shop.handler.broken = {"a": POISON}
    await shop.run_once()
    shop.log.write("a", "b", "a")
    await shop.run_once()
    shop.handler.broken = {}
    shop.clock.advance(10)

    counts = await shop.run_once()

    assert shop.versions == {"a": [1, 2, 3], "b": [1, 2]}
    assert (shop.parked, counts) == ({}, Counts(retried=1))


async def test_a_long_queue_behind_a_parked_aggregate_is_replayed_page_by_page() -> None:
    """A page is a batch; each is a transaction of its own, and the aggregate stays parked and due in between."""
    shop = Workshop(batch=2)
    shop.log.write("a")
    shop.handler.broken = {"a": POISON}
    await shop.run_once()
    shop.log.write("a", "b", "a", "a", "a")
    await shop.consumer.drain()
    shop.handler.broken = {}
    shop.clock.advance(10)

    await shop.run_once()
    after_one_page = (shop.versions["a"], shop.parked)
    await shop.consumer.drain()

    assert after_one_page == ([1, 2], {"a": (ParkedState.RETRYING, 0, 3)})
    assert (shop.versions, shop.parked) == ({"a": [1, 2, 3, 4, 5], "b": [1]}, {})


async def test_new_events_of_an_aggregate_wait_behind_its_last_page() -> None:
    """A page alone does not put it back among the others."""
    shop = Workshop(batch=2)
    shop.log.write("a", "a", "a")
    shop.handler.broken = {"a": POISON}
    await shop.consumer.drain()
    shop.handler.broken = {}
    shop.clock.advance(10)
    shop.log.write("a")

    await shop.run_once()
    after_one_page = shop.versions
    await shop.consumer.drain()

    assert (after_one_page, shop.versions) == ({"a": [1, 2]}, {"a": [1, 2, 3, 4]})


async def test_a_later_page_that_fails_has_all_its_attempts() -> None:
    """What took effect before stays; the place is the first event of the failed page."""
    shop = Workshop(batch=1, attempts=2)
    shop.log.write("a", "a")
    shop.handler.broken = {"a": POISON}
    await shop.consumer.drain()
    shop.handler.broken = {}
    shop.clock.advance(10)
    await shop.run_once()
    shop.handler.broken = {"a": POISON}

    await shop.run_once()

    assert (shop.versions, shop.parked) == ({"a": [1]}, {"a": (ParkedState.RETRYING, 1, 2)})


async def test_a_retry_does_not_repeat_what_took_effect_before() -> None:
    """Only what waited is replayed."""
    shop = Workshop()
    shop.log.write("a")
    await shop.run_once()
    shop.log.write("a")
    shop.handler.broken = {"a": POISON}
    await shop.run_once()
    shop.handler.broken = {}
    shop.clock.advance(10)

    await shop.run_once()

    assert shop.versions == {"a": [1, 2]}


async def test_a_retry_leaves_out_what_nobody_subscribed_to() -> None:
    """The same events count as in the first attempt."""
    shop = Workshop()
    shop.log.write("a")
    shop.handler.broken = {"a": POISON}
    await shop.run_once()
    shop.log.write("a", event=Painted)
    shop.log.write("a")
    await shop.run_once()
    shop.handler.broken = {}
    shop.clock.advance(10)

    await shop.run_once()

    assert shop.versions == {"a": [1, 3]}


async def test_a_retry_waits_until_it_is_due() -> None:
    """A millisecond early is early."""
    shop = Workshop()
    shop.log.write("a")
    shop.handler.broken = {"a": POISON}
    await shop.run_once()
    shop.handler.broken = {}
    shop.clock.advance(9.999)

    await shop.run_once()

    assert shop.store.effects == []


async def test_events_of_an_aggregate_unparked_in_the_same_run_are_not_lost() -> None:
    """The batch is read after the retry, so what it holds of the aggregate follows at once."""
    shop = Workshop()
    shop.log.write("a")
    shop.handler.broken = {"a": POISON}
    await shop.run_once()
    shop.handler.broken = {}
    shop.log.write("a", "b")
    shop.clock.advance(10)

    await shop.run_once()

    assert (shop.versions, shop.store.unread) == ({"a": [1, 2], "b": [1]}, [])


async def test_an_aggregate_unparked_in_a_run_that_isolates_is_not_lost() -> None:
    """A failure elsewhere rolls the retry back and does it again."""
    shop = Workshop()
    shop.log.write("a")
    shop.handler.broken = {"a": POISON}
    await shop.run_once()
    shop.handler.broken = {"b": POISON}
    shop.log.write("a", "b")
    shop.clock.advance(10)

    await shop.run_once()

    assert (shop.versions, sorted(shop.parked)) == ({"a": [1, 2]}, ["b"])


async def test_an_aggregate_unparked_and_broken_again_in_the_same_run_is_parked_at_the_new_event() -> None:
    """What took effect before stays; attempts begin anew."""
    shop = Workshop(names_the_culprits=True)
    shop.log.write("a")
    shop.handler.broken = {"a": POISON}
    await shop.run_once()
    shop.clock.advance(10)

    class BreaksAtTheSecond(RecordingHandler):
        async def handle(self, transaction, events):  # type: ignore[no-untyped-def]  # noqa: ANN001, ANN202
            if any(event.envelope.aggregate_version == 2 for event in events):
                raise POISON
            await super().handle(transaction, events)

    shop.log.write("a")
    consumer = Consumer(ConsumerConfig(), shop.store, shop.clock, BreaksAtTheSecond())
    await consumer.run_once()

    assert shop.versions == {"a": [1]}
    assert shop.parked == {"a": (ParkedState.RETRYING, 1, 2)}


async def test_a_retry_that_fails_counts_an_attempt_and_keeps_its_place() -> None:
    """Neither the position nor the time of parking moves."""
    shop = Workshop()
    shop.log.write("a")
    shop.handler.broken = {"a": POISON}
    await shop.run_once()
    parked_at = shop.clock.now()
    shop.log.write("a")
    shop.clock.advance(10)

    await shop.run_once()

    assert shop.parked == {"a": (ParkedState.RETRYING, 2, 1)}
    assert shop.store.parked[key_of("a")].parked_at == parked_at


async def test_an_aggregate_is_dead_after_its_attempts_and_is_left_alone() -> None:
    """A dead letter is kept until somebody redrives it; the others flow."""
    shop = Workshop(attempts=3)
    shop.log.write("a")
    shop.handler.broken = {"a": POISON}
    for _ in range(3):
        await shop.run_once()
        shop.clock.advance(10)
    shop.handler.broken = {}
    shop.log.write("a", "b")

    await shop.run_once()

    assert shop.parked == {"a": (ParkedState.DEAD, 3, 1)}
    assert shop.versions == {"b": [1]}


async def test_one_broken_retry_does_not_hold_up_another() -> None:
    """Each parked aggregate is tried under a savepoint of its own."""
    shop = Workshop()
    shop.log.write("a", "b")
    shop.handler.broken = {"a": POISON, "b": POISON}
    await shop.run_once()
    shop.handler.broken = {"a": POISON}
    shop.clock.advance(10)

    await shop.run_once()

    assert (sorted(shop.parked), shop.versions) == (["a"], {"b": [1]})


def of_another_release(shop: Workshop) -> Consumer:
    """Return a consumer of the same that wants all events, and does not know that a wheel can be painted."""
    handler = RecordingHandler()
    handler.subscribes = ("wheels.*",)
    handler.broken = shop.handler.broken
    return Consumer(ConsumerConfig(), shop.store, shop.clock, handler, known={"wheels.wheel.turned.v1"})


async def test_an_unknown_event_parks_its_aggregate_without_an_attempt() -> None:
    """What came before it takes effect, what comes after it waits, and everything else flows."""
    shop = Workshop()
    shop.log.write("a", "b")
    shop.log.write("a", event=Painted)
    shop.log.write("a", "b")

    counts = await of_another_release(shop).run_once()

    assert shop.versions == {"a": [1], "b": [1, 2]}
    assert shop.parked == {"a": (ParkedState.NEEDS_VERSION, 0, 3)}
    assert shop.store.parked[key_of("a")].needs == "wheels.paint.dried.v1"
    assert counts == Counts(read=5, handled=3, parked=1)


async def test_an_aggregate_that_fails_before_its_unknown_event_has_failed() -> None:
    """The failure is what somebody must look at; the unknown event is behind it."""
    shop = Workshop()
    shop.log.write("a")
    shop.log.write("a", event=Painted)
    shop.handler.broken = {"a": POISON}

    await of_another_release(shop).run_once()

    assert shop.parked == {"a": (ParkedState.RETRYING, 1, 1)}


async def test_a_retry_that_comes_to_an_unknown_event_waits_there() -> None:
    """What failed before took effect, and no attempt is counted."""
    shop = Workshop()
    shop.log.write("a")
    shop.log.write("a", event=Painted)
    shop.handler.broken = {"a": POISON}
    await of_another_release(shop).run_once()
    shop.handler.broken = {}
    shop.clock.advance(10)

    await of_another_release(shop).run_once()

    assert (shop.versions, shop.parked) == ({"a": [1]}, {"a": (ParkedState.NEEDS_VERSION, 0, 2)})
