"""What every store of consumers promises: one holder a shard, effects and checkpoints in one commit."""

from collections.abc import AsyncIterator, Collection
from contextlib import asynccontextmanager, suppress
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from uuid import UUID

import pytest

from rustok.events.consumer import Batch, Claim
from rustok.events.parking import Parked, ParkedState
from rustok.kernel.event import SHARDS, AggregateKey
from tests.conformance.consumer_store.stores import CONSUMER, SHARD, StoreUnderTest, aggregates, take_effect
from tests.conformance.transport.levels import TENANT

NOW = datetime(2026, 2, 1, 12, 0, 0, 123456, tzinfo=UTC)
LATER = NOW + timedelta(microseconds=1)


class Refused(Exception):
    """A handler fails."""


@asynccontextmanager
async def claimed(
    under_test: StoreUnderTest, consumer: str = CONSUMER, *, limit: int = 100, now: datetime = NOW
) -> AsyncIterator[Claim]:
    """Claim what is behind and free."""
    async with under_test.store.claim(consumer, now, limit) as claim:
        assert claim is not None, "something should be behind and free"
        yield claim


async def claimed_shards(under_test: StoreUnderTest, consumer: str = CONSUMER, *, now: datetime = NOW) -> set[int]:
    """Return the shards that a claim would get."""
    async with under_test.store.claim(consumer, now, 100) as claim:
        return set(claim.positions) if claim else set()


async def read_all(under_test: StoreUnderTest) -> None:
    """Move all checkpoints to the end of the log."""
    async with claimed(under_test) as claim:
        await claim.advance((await claim.read(100)).positions)


async def waits(under_test: StoreUnderTest, parked: Parked) -> None:
    """Log an event of an aggregate, read the log to its end and leave the aggregate parked."""
    await under_test.log(parked.key.aggregate_id)
    async with claimed(under_test) as claim:
        await claim.park(parked)
        await claim.advance((await claim.read(100)).positions)


def a_parked(aggregate_id: UUID, position: int = 1, due_at: datetime = NOW) -> Parked:
    return Parked(
        key=AggregateKey(TENANT, aggregate_id),
        aggregate_type="note",
        position=position,
        state=ParkedState.RETRYING,
        attempts=1,
        due_at=due_at,
        error="ValueError: not square",
        parked_at=NOW,
    )


def places(batch: Batch) -> list[tuple[int, UUID]]:
    return [(event.position, event.envelope.aggregate_id) for event in batch.events]


def names(parked: Collection[Parked]) -> list[UUID]:
    return [record.key.aggregate_id for record in parked]


async def test_a_new_consumer_begins_at_the_start_of_the_log(under_test: StoreUnderTest) -> None:
    """It sees everything that ever happened."""
    await under_test.log(*aggregates(1))

    async with claimed(under_test) as claim:
        assert claim.positions == {SHARD: 0}


async def test_there_is_nothing_to_claim_where_nothing_is_behind(under_test: StoreUnderTest) -> None:
    """A hint may come late, or twice."""
    assert await claimed_shards(under_test) == set()

    await under_test.log(*aggregates(1))
    await read_all(under_test)

    assert await claimed_shards(under_test) == set()


async def test_a_claim_takes_every_shard_that_is_behind_while_little_is_to_be_done(under_test: StoreUnderTest) -> None:
    """One transaction instead of one a shard."""
    await under_test.log(*aggregates(3, shard=1), *aggregates(1, shard=5), *aggregates(2, shard=9))

    async with claimed(under_test, limit=6) as claim:
        assert claim.positions == {1: 0, 5: 0, 9: 0}


async def test_under_a_backlog_a_claim_takes_as_many_shards_as_fill_its_batch(under_test: StoreUnderTest) -> None:
    """The next one takes others at the same time, the oldest events first, until none is left."""
    await under_test.log(*(i for shard in (7, 3, 11, 5) for i in aggregates(3, shard=shard)))

    async with claimed(under_test, limit=6) as first, claimed(under_test, limit=3) as second:
        shards = [set(first.positions), set(second.positions)]

    assert shards == [{7, 3}, {11}]


async def test_a_claim_takes_a_shard_that_holds_more_than_a_batch(under_test: StoreUnderTest) -> None:
    """One at least; what does not fit is read by the next claim."""
    await under_test.log(*aggregates(3))

    async with claimed(under_test, limit=2) as claim:
        assert claim.positions == {SHARD: 0}


async def test_a_shard_has_one_holder(under_test: StoreUnderTest) -> None:
    """The second goes away at once instead of waiting."""
    await under_test.log(*aggregates(1))

    async with claimed(under_test), under_test.store.claim(CONSUMER, NOW, 100) as second:
        assert second is None


async def test_a_claim_passes_over_shards_that_are_held(under_test: StoreUnderTest) -> None:
    """What came meanwhile to other shards does not wait for their holder."""
    await under_test.log(*aggregates(1))

    async with claimed(under_test):
        await under_test.log(*aggregates(1, shard=SHARD + 1))

        assert await claimed_shards(under_test) == {SHARD + 1}


async def test_a_shard_is_free_again_when_its_holder_leaves(under_test: StoreUnderTest) -> None:
    """Whether it commits or fails."""
    await under_test.log(*aggregates(1))
    with suppress(Refused):
        async with claimed(under_test):
            raise Refused

    assert await claimed_shards(under_test) == {SHARD}
    assert await claimed_shards(under_test) == {SHARD}


async def test_another_consumer_is_free_meanwhile(under_test: StoreUnderTest) -> None:
    """Consumers know nothing of each other."""
    await under_test.log(*aggregates(1))

    async with claimed(under_test):
        assert await claimed_shards(under_test, "notes.other") == {SHARD}


async def test_an_advance_survives_the_commit(under_test: StoreUnderTest) -> None:
    """The next holder goes on from there, in each shard."""
    await under_test.log(*aggregates(2, shard=1), *aggregates(2, shard=5))
    async with claimed(under_test) as claim:
        await claim.advance({1: 1, 5: 3})

    async with claimed(under_test) as claim:
        assert claim.positions == {1: 1, 5: 3}


async def test_an_advance_does_not_survive_a_rollback(under_test: StoreUnderTest) -> None:
    """What was not applied is read again."""
    await under_test.log(*aggregates(2))
    with suppress(Refused):
        async with claimed(under_test) as claim:
            await claim.advance({SHARD: 1})
            raise Refused

    async with claimed(under_test) as claim:
        assert claim.positions == {SHARD: 0}


async def test_an_advance_is_of_one_consumer_and_its_shards(under_test: StoreUnderTest) -> None:
    """The others stay where they are."""
    await under_test.log(*aggregates(2, shard=1), *aggregates(2, shard=5))
    async with claimed(under_test) as claim:
        await claim.advance({1: 1})

    async with claimed(under_test, "notes.other") as other, claimed(under_test) as claim:
        assert (other.positions, claim.positions) == ({1: 0, 5: 0}, {1: 1, 5: 0})


async def test_effects_commit_with_the_checkpoint(under_test: StoreUnderTest) -> None:
    """One transaction holds both."""
    await under_test.log(*aggregates(1))
    async with claimed(under_test) as claim:
        await take_effect(claim.transaction, "done")
        await claim.advance({SHARD: 1})

    assert await under_test.effects() == ["done"]


async def test_effects_roll_back_with_the_checkpoint(under_test: StoreUnderTest) -> None:
    """Otherwise they would take effect twice."""
    await under_test.log(*aggregates(1))
    with suppress(Refused):
        async with claimed(under_test) as claim:
            await take_effect(claim.transaction, "done")
            raise Refused

    assert await under_test.effects() == []


async def test_a_savepoint_undoes_what_failed_inside_and_nothing_else(under_test: StoreUnderTest) -> None:
    """The rest of the batch goes on in the same transaction."""
    await under_test.log(*aggregates(1))
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
    await under_test.log(*aggregates(1))
    async with claimed(under_test) as claim, claim.savepoint():
        await take_effect(claim.transaction, "outer")
        with suppress(Refused):
            async with claim.savepoint():
                await take_effect(claim.transaction, "inner")
                raise Refused

    assert await under_test.effects() == ["outer"]


async def test_a_holder_reads_what_lies_behind_its_checkpoints(under_test: StoreUnderTest) -> None:
    """Of all its shards in one order, no more than it asks for; it is told how far that is in each."""
    [first, second], [other] = aggregates(2, shard=1), aggregates(1, shard=5)
    await under_test.log(first, second, other, first, other)
    async with claimed(under_test) as claim:
        await claim.advance({1: 1})

    async with claimed(under_test) as claim:
        batch = await claim.read(3)

    assert places(batch) == [(2, second), (3, other), (4, first)]
    assert batch.positions == {1: 4, 5: 3}


async def test_a_shard_that_had_nothing_in_the_batch_is_not_told(under_test: StoreUnderTest) -> None:
    """Its checkpoint stays."""
    await under_test.log(*aggregates(2, shard=1), *aggregates(1, shard=5))

    async with claimed(under_test, limit=3) as claim:
        batch = await claim.read(2)

    assert batch.positions == {1: 2}


async def test_a_consumer_with_news_is_behind(under_test: StoreUnderTest) -> None:
    """Until its checkpoints have passed them."""
    await under_test.log(*aggregates(2))

    answers = [await under_test.store.is_behind(CONSUMER, NOW)]
    for position in (1, 2):
        async with claimed(under_test) as claim:
            await claim.advance({SHARD: position})
        answers.append(await under_test.store.is_behind(CONSUMER, NOW))

    assert answers == [True, True, False]


@pytest.mark.parametrize("shard", range(SHARDS))
async def test_news_of_any_shard_make_a_consumer_behind(under_test: StoreUnderTest, shard: int) -> None:
    """And are claimed."""
    await under_test.log(*aggregates(1, shard=shard))

    assert await under_test.store.is_behind(CONSUMER, NOW)
    assert await claimed_shards(under_test) == {shard}


async def test_asking_whether_a_consumer_is_behind_does_not_wait_for_a_holder(under_test: StoreUnderTest) -> None:
    """It is asked by those who have no claim."""
    await under_test.log(*aggregates(1))

    async with claimed(under_test):
        assert await under_test.store.is_behind(CONSUMER, NOW)


async def test_a_retry_that_is_due_makes_a_consumer_behind(under_test: StoreUnderTest) -> None:
    """Without any news; from its time on, and only for the consumer that parked it."""
    await waits(under_test, a_parked(aggregates(1)[0], due_at=LATER))
    early = await under_test.store.is_behind(CONSUMER, NOW), await claimed_shards(under_test)
    on_time = await under_test.store.is_behind(CONSUMER, LATER), await claimed_shards(under_test, now=LATER)

    assert (early, on_time) == ((False, set()), (True, {SHARD}))


async def test_a_dead_letter_makes_nobody_behind(under_test: StoreUnderTest) -> None:
    """It waits for somebody to redrive it."""
    await waits(under_test, replace(a_parked(aggregates(1)[0]), state=ParkedState.DEAD))

    assert not await under_test.store.is_behind(CONSUMER, LATER)
    assert await claimed_shards(under_test, now=LATER) == set()


async def test_a_retry_comes_back_as_it_was_parked(under_test: StoreUnderTest) -> None:
    """Every field."""
    parked = a_parked(aggregates(1)[0])
    await waits(under_test, parked)

    async with claimed(under_test) as claim:
        assert list(await claim.due(10)) == [parked]


async def test_a_claim_is_given_the_retries_that_are_due(under_test: StoreUnderTest) -> None:
    """Of its shards, the longest due first, no more than it asks for; neither dead letters nor what has time."""
    first, second, third, dead, early = aggregates(5)
    await under_test.log(first)
    async with claimed(under_test) as claim:
        for aggregate, minutes in ((third, 1), (first, 3), (second, 2), (early, -1)):
            await claim.park(a_parked(aggregate, due_at=NOW - timedelta(minutes=minutes)))
        await claim.park(replace(a_parked(dead), state=ParkedState.DEAD))

    async with claimed(under_test) as claim:
        found = [names(await claim.due(2)), names(await claim.due(10))]

    assert found == [[first, second], [first, second, third]]


async def test_the_retries_of_shards_that_others_hold_are_theirs(under_test: StoreUnderTest) -> None:
    """A parked aggregate is its shard's."""
    [one], [other] = aggregates(1, shard=1), aggregates(1, shard=5)
    await under_test.log(one, other)
    async with claimed(under_test) as claim:
        for aggregate in (one, other):
            await claim.park(a_parked(aggregate))

    async with claimed(under_test, limit=1) as first, claimed(under_test) as second:
        found = [(set(c.positions), names(await c.due(10))) for c in (first, second)]

    assert found == [({1}, [one]), ({5}, [other])]


async def test_a_batch_tells_which_of_its_aggregates_are_parked(under_test: StoreUnderTest) -> None:
    """Dead or retrying, by this consumer; others that are parked are not named."""
    free, retrying, dead, elsewhere = aggregates(4)
    await under_test.log(free, retrying, dead)
    async with claimed(under_test, "notes.other") as claim:
        await claim.park(a_parked(free))
    async with claimed(under_test) as claim:
        await claim.park(a_parked(retrying))
        await claim.park(replace(a_parked(dead), state=ParkedState.DEAD))
        await claim.park(a_parked(elsewhere))

    async with claimed(under_test) as claim:
        batch = await claim.read(10)

    assert set(batch.parked) == {AggregateKey(TENANT, retrying), AggregateKey(TENANT, dead)}


async def test_a_batch_sees_what_its_own_claim_has_parked_and_unparked(under_test: StoreUnderTest) -> None:
    """Retries come before the batch: what they free goes on with it."""
    one, other = aggregates(2)
    await under_test.log(one, other)
    async with claimed(under_test) as claim:
        await claim.park(a_parked(one))

    async with claimed(under_test) as claim:
        await claim.unpark(AggregateKey(TENANT, one))
        await claim.park(a_parked(other))
        batch = await claim.read(10)

    assert set(batch.parked) == {AggregateKey(TENANT, other)}


async def test_parking_again_rewrites_the_record(under_test: StoreUnderTest) -> None:
    """Place, state, attempts, time and error; not when it was parked first."""
    parked = a_parked(aggregates(1)[0])
    await waits(under_test, parked)

    again = replace(parked, position=2, attempts=5, due_at=LATER, error="KeyError: 'hub'")
    async with claimed(under_test) as claim:
        await claim.park(again)

    async with claimed(under_test, now=LATER) as claim:
        assert list(await claim.due(10)) == [again]


async def test_parking_does_not_survive_a_rollback(under_test: StoreUnderTest) -> None:
    """The batch is tried again as a whole."""
    [aggregate] = aggregates(1)
    await under_test.log(aggregate)
    with suppress(Refused):
        async with claimed(under_test) as claim:
            await claim.park(a_parked(aggregate))
            raise Refused

    async with claimed(under_test) as claim:
        assert (list(await claim.due(10)), list((await claim.read(10)).parked)) == ([], [])


async def test_an_unparked_aggregate_is_forgotten(under_test: StoreUnderTest) -> None:
    """The others stay."""
    one, other = aggregates(2)
    await under_test.log(one)
    async with claimed(under_test) as claim:
        await claim.park(a_parked(one))
        await claim.park(a_parked(other))

    async with claimed(under_test) as claim:
        await claim.unpark(AggregateKey(TENANT, one))

    async with claimed(under_test) as claim:
        assert names(await claim.due(10)) == [other]


async def test_unparking_does_not_survive_a_rollback(under_test: StoreUnderTest) -> None:
    """The waiting events were not applied after all."""
    parked = a_parked(aggregates(1)[0])
    await waits(under_test, parked)

    with suppress(Refused):
        async with claimed(under_test) as claim:
            await claim.unpark(parked.key)
            raise Refused

    async with claimed(under_test) as claim:
        assert list(await claim.due(10)) == [parked]


async def test_the_waiting_events_of_an_aggregate_reach_from_its_place_to_the_checkpoint(
    under_test: StoreUnderTest,
) -> None:
    """Both ends included: what lies before took effect, what lies behind is still to be read with its batch."""
    one, other = aggregates(2)
    await under_test.log(one, one, other, one, other, one, one)  # of one: the positions 1, 2, 4, 6, 7
    parked = a_parked(one, position=2)
    async with claimed(under_test) as claim:
        await claim.park(parked)
        await claim.advance({SHARD: 6})

    async with claimed(under_test) as claim:
        pages = [[e.position for e in await claim.read_aggregate(parked, limit)] for limit in (10, 2)]

    assert pages == [[2, 4, 6], [2, 4]]
