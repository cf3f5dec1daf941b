"""What every store of consumers promises: one holder a shard, effects and checkpoint in one commit."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from dataclasses import replace
from datetime import UTC, datetime
from uuid import UUID

from rustok.events.consumer import Claim
from rustok.events.parking import Parked, ParkedState
from rustok.kernel.event import AggregateKey
from tests.conformance.consumer_store.stores import CONSUMER, SHARD, StoreUnderTest, aggregates, take_effect
from tests.conformance.transport.levels import TENANT

NOW = datetime(2026, 2, 1, 12, 0, 0, 123456, tzinfo=UTC)


class Refused(Exception):
    """A handler fails."""


@asynccontextmanager
async def claimed(under_test: StoreUnderTest, consumer: str = CONSUMER, shard: int = SHARD) -> AsyncIterator[Claim]:
    """Claim a shard that is free."""
    async with under_test.store.claim(consumer, shard) as claim:
        assert claim is not None, "the shard should be free"
        yield claim


def a_parked(aggregate_id: UUID, position: int = 1) -> Parked:
    return Parked(
        key=AggregateKey(TENANT, aggregate_id),
        aggregate_type="note",
        position=position,
        state=ParkedState.RETRYING,
        attempts=1,
        due_at=NOW,
        error="ValueError: not square",
        parked_at=NOW,
    )


async def test_a_new_consumer_begins_at_the_start_of_the_log(under_test: StoreUnderTest) -> None:
    """It sees everything that ever happened."""
    async with claimed(under_test) as claim:
        assert (claim.position, dict(claim.parked)) == (0, {})


async def test_a_shard_has_one_holder(under_test: StoreUnderTest) -> None:
    """The second goes away at once instead of waiting."""
    async with claimed(under_test), under_test.store.claim(CONSUMER, SHARD) as second:
        assert second is None


async def test_a_shard_is_free_again_when_its_holder_leaves(under_test: StoreUnderTest) -> None:
    """Whether it commits or fails."""
    with suppress(Refused):
        async with claimed(under_test):
            raise Refused

    async with claimed(under_test) as claim:
        assert claim.position == 0


async def test_another_shard_is_free_meanwhile(under_test: StoreUnderTest) -> None:
    """Shards are worked on side by side."""
    async with claimed(under_test), claimed(under_test, shard=SHARD + 1) as other:
        assert other.position == 0


async def test_another_consumer_is_free_meanwhile(under_test: StoreUnderTest) -> None:
    """Consumers know nothing of each other."""
    async with claimed(under_test), claimed(under_test, "notes.other") as other:
        assert other.position == 0


async def test_an_advance_survives_the_commit(under_test: StoreUnderTest) -> None:
    """The next holder goes on from there."""
    async with claimed(under_test) as claim:
        await claim.advance(7)

    async with claimed(under_test) as claim:
        assert claim.position == 7


async def test_an_advance_does_not_survive_a_rollback(under_test: StoreUnderTest) -> None:
    """What was not applied is read again."""
    with suppress(Refused):
        async with claimed(under_test) as claim:
            await claim.advance(7)
            raise Refused

    async with claimed(under_test) as claim:
        assert claim.position == 0


async def test_an_advance_is_of_one_consumer_and_one_shard(under_test: StoreUnderTest) -> None:
    """The others stay where they are."""
    async with claimed(under_test) as claim:
        await claim.advance(7)

    async with claimed(under_test, "notes.other") as other, claimed(under_test, shard=SHARD + 1) as next_shard:
        assert (other.position, next_shard.position) == (0, 0)


async def test_effects_commit_with_the_checkpoint(under_test: StoreUnderTest) -> None:
    """One transaction holds both."""
    async with claimed(under_test) as claim:
        await take_effect(claim.transaction, "done")
        await claim.advance(1)

    assert await under_test.effects() == ["done"]


async def test_effects_roll_back_with_the_checkpoint(under_test: StoreUnderTest) -> None:
    """Otherwise they would take effect twice."""
    with suppress(Refused):
        async with claimed(under_test) as claim:
            await take_effect(claim.transaction, "done")
            raise Refused

    assert await under_test.effects() == []


async def test_a_savepoint_undoes_what_failed_inside_and_nothing_else(under_test: StoreUnderTest) -> None:
    """The rest of the batch goes on in the same transaction."""
    async with claimed(under_test) as claim:
        await take_effect(claim.transaction, "before")
        with suppress(Refused):
            async with claim.savepoint():
                await take_effect(claim.transaction, "inside")
                raise Refused
        async with claim.savepoint():
            await take_effect(claim.transaction, "kept")

    assert await under_test.effects() == ["before", "kept"]


async def test_savepoints_nest(under_test: StoreUnderTest) -> None:
    """A search by halving stands inside another."""
    async with claimed(under_test) as claim, claim.savepoint():
        await take_effect(claim.transaction, "outer")
        with suppress(Refused):
            async with claim.savepoint():
                await take_effect(claim.transaction, "inner")
                raise Refused

    assert await under_test.effects() == ["outer"]


async def test_a_holder_reads_what_lies_behind_its_checkpoint(under_test: StoreUnderTest) -> None:
    """In order, no more than it asks for."""
    first, second, third = aggregates(3)
    await under_test.log(first, second, third)
    async with claimed(under_test) as claim:
        await claim.advance(1)

    async with claimed(under_test) as claim:
        read = await claim.read(1)

    assert [(event.position, event.envelope.aggregate_id) for event in read] == [(2, second)]


async def test_a_shard_with_news_is_behind(under_test: StoreUnderTest) -> None:
    """Until the checkpoint has passed them."""
    await under_test.log(*aggregates(2))

    answers = [await under_test.store.is_behind(CONSUMER, SHARD)]
    async with claimed(under_test) as claim:
        await claim.advance(1)
    answers.append(await under_test.store.is_behind(CONSUMER, SHARD))
    async with claimed(under_test) as claim:
        await claim.advance(2)
    answers.append(await under_test.store.is_behind(CONSUMER, SHARD))

    assert answers == [True, True, False]


async def test_news_of_another_shard_do_not_make_a_shard_behind(under_test: StoreUnderTest) -> None:
    """Each shard has its own checkpoint."""
    await under_test.log(*aggregates(1))

    assert not await under_test.store.is_behind(CONSUMER, SHARD + 1)


async def test_asking_whether_a_shard_is_behind_does_not_wait_for_its_holder(under_test: StoreUnderTest) -> None:
    """It is asked by those who have no claim."""
    await under_test.log(*aggregates(1))

    async with claimed(under_test):
        assert await under_test.store.is_behind(CONSUMER, SHARD)


async def test_a_parked_aggregate_is_remembered_as_it_was(under_test: StoreUnderTest) -> None:
    """Every field comes back."""
    parked = a_parked(aggregates(1)[0])

    async with claimed(under_test) as claim:
        await claim.park(parked)

    async with claimed(under_test) as claim:
        assert dict(claim.parked) == {parked.key: parked}


async def test_parking_is_seen_by_the_holder_at_once(under_test: StoreUnderTest) -> None:
    """The events of the batch that follow must wait."""
    parked = a_parked(aggregates(1)[0])

    async with claimed(under_test) as claim:
        await claim.park(parked)

        assert dict(claim.parked) == {parked.key: parked}


async def test_parking_again_rewrites_the_record(under_test: StoreUnderTest) -> None:
    """State, attempts, time and error; not the place, for nothing was applied since."""
    parked = a_parked(aggregates(1)[0], position=4)
    async with claimed(under_test) as claim:
        await claim.park(parked)

    again = replace(parked, state=ParkedState.DEAD, attempts=5, error="KeyError: 'hub'")
    async with claimed(under_test) as claim:
        await claim.park(again)

    async with claimed(under_test) as claim:
        assert dict(claim.parked) == {parked.key: again}


async def test_parking_does_not_survive_a_rollback(under_test: StoreUnderTest) -> None:
    """The batch is tried again as a whole."""
    with suppress(Refused):
        async with claimed(under_test) as claim:
            await claim.park(a_parked(aggregates(1)[0]))
            raise Refused

    async with claimed(under_test) as claim:
        assert dict(claim.parked) == {}


async def test_an_unparked_aggregate_is_forgotten(under_test: StoreUnderTest) -> None:
    """At once, and after the commit; the others stay."""
    one, other = (a_parked(aggregate) for aggregate in aggregates(2))
    async with claimed(under_test) as claim:
        await claim.park(one)
        await claim.park(other)

    async with claimed(under_test) as claim:
        await claim.unpark(one.key)
        at_once = set(claim.parked)

    async with claimed(under_test) as claim:
        assert (at_once, set(claim.parked)) == ({other.key}, {other.key})


async def test_unparking_does_not_survive_a_rollback(under_test: StoreUnderTest) -> None:
    """The waiting events were not applied after all."""
    parked = a_parked(aggregates(1)[0])
    async with claimed(under_test) as claim:
        await claim.park(parked)

    with suppress(Refused):
        async with claimed(under_test) as claim:
            await claim.unpark(parked.key)
            raise Refused

    async with claimed(under_test) as claim:
        assert set(claim.parked) == {parked.key}


async def test_an_aggregate_is_parked_for_one_consumer(under_test: StoreUnderTest) -> None:
    """What one cannot digest another may."""
    async with claimed(under_test) as claim:
        await claim.park(a_parked(aggregates(1)[0]))

    async with claimed(under_test, "notes.other") as other:
        assert dict(other.parked) == {}


async def test_the_waiting_events_of_an_aggregate_reach_from_its_place_to_the_checkpoint(
    under_test: StoreUnderTest,
) -> None:
    """Both ends included: what lies before took effect, what lies behind is still to be read with its batch."""
    one, other = aggregates(2)
    await under_test.log(one, one, other, one, other, one, one)  # of one: the positions 1, 2, 4, 6, 7
    async with claimed(under_test) as claim:
        await claim.park(a_parked(one, position=2))
        await claim.advance(6)

    async with claimed(under_test) as claim:
        waiting = await claim.read_aggregate(claim.parked[AggregateKey(TENANT, one)])

    assert [event.position for event in waiting] == [2, 4, 6]
