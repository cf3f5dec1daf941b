"""What every store of the sequencer promises: all that commits gets one place in the log, in order, without gaps."""

import asyncio
from contextlib import AsyncExitStack, suppress
from typing import ClassVar

from rustok.events.sequencer import Sequenced
from rustok.kernel.event import Envelope
from rustok.testing import an_envelope
from tests.conformance.sequencer_store.stores import StoreUnderTest
from tests.conformance.transport.levels import TENANT, Noted


class Forgotten(Noted):
    type: ClassVar = "notes.note.forgotten"


class Refused(Exception):
    """A rule of a service says no; or a relay dies."""


def events(count: int) -> list[Envelope]:
    return [an_envelope(Noted, tenant_id=TENANT, facts={"number": number}) for number in range(count)]


async def commit(under_test: StoreUnderTest, *staged: Envelope) -> None:
    async with under_test.writing() as writer:
        await writer.stage(*staged)


async def roll_back(under_test: StoreUnderTest, *staged: Envelope) -> None:
    with suppress(Refused):
        async with under_test.writing() as writer:
            await writer.stage(*staged)
            raise Refused


async def sequence_all(under_test: StoreUnderTest, limit: int = 100) -> None:
    while await under_test.store.sequence(limit):
        pass


async def raise_floor(under_test: StoreUnderTest, times: int = 3) -> int:
    """Raise it several times, as the relays' loops do, and return where it is then."""
    for _ in range(times):
        await under_test.store.raise_floor()
    return await under_test.floor()


async def places(under_test: StoreUnderTest) -> list[tuple[int, Envelope]]:
    return [(event.position, event.envelope) for event in await under_test.log()]


async def test_nothing_is_moved_where_nothing_is_staged(under_test: StoreUnderTest) -> None:
    """A wake-up may come late, or twice."""
    assert await under_test.store.sequence(100) is None
    assert await under_test.log() == []


async def test_events_come_into_the_log_as_they_were_staged(under_test: StoreUnderTest) -> None:
    """In their order, each with all its fields, at positions from 1 on."""
    first, second, third = events(3)
    await commit(under_test, first, second, third)
    await sequence_all(under_test)

    assert await places(under_test) == [(1, first), (2, second), (3, third)]


async def test_the_order_is_that_of_staging_and_not_that_of_commits(under_test: StoreUnderTest) -> None:
    """Whoever holds an aggregate stages its next event later: versions rise."""
    first, second, third = events(3)
    async with under_test.writing() as slow:
        await slow.stage(first)
        async with under_test.writing() as quick:
            await quick.stage(second)
        await slow.stage(third)
    await sequence_all(under_test)

    assert await places(under_test) == [(1, first), (2, second), (3, third)]


async def test_a_batch_ends_at_its_limit(under_test: StoreUnderTest) -> None:
    """The next one goes on behind it, until nothing is left."""
    staged = events(5)
    await commit(under_test, *staged)

    moved = [await under_test.store.sequence(2) for _ in range(4)]

    assert [batch and batch.events for batch in moved] == [2, 2, 1, None]
    assert await places(under_test) == [*enumerate(staged, 1)]


async def test_a_batch_tells_its_number_and_each_type_once(under_test: StoreUnderTest) -> None:
    """Of what came into the log, not of what waits behind it."""
    [noted, again], forgotten = events(2), an_envelope(Forgotten, tenant_id=TENANT)
    await commit(under_test, noted, again, forgotten)

    moved = [await under_test.store.sequence(2), await under_test.store.sequence(2)]

    assert moved == [Sequenced(2, {"notes.note.noted"}), Sequenced(1, {"notes.note.forgotten"})]


async def test_what_is_not_committed_is_not_moved(under_test: StoreUnderTest) -> None:
    """It may still be rolled back."""
    async with under_test.writing() as writer:
        await writer.stage(*events(1))

        assert await under_test.store.sequence(100) is None


async def test_what_is_rolled_back_leaves_no_gap(under_test: StoreUnderTest) -> None:
    """Its ids are used up, its positions are not."""
    before, after = events(2)
    await commit(under_test, before)
    await roll_back(under_test, *events(3))
    await commit(under_test, after)
    await sequence_all(under_test)

    assert await places(under_test) == [(1, before), (2, after)]


async def test_what_commits_late_is_not_lost(under_test: StoreUnderTest) -> None:
    """A writer that is left open holds up nobody; its event comes behind those that overtook it."""
    early, late = events(2)
    async with under_test.writing() as slow:
        await slow.stage(late)
        await commit(under_test, early)
        await sequence_all(under_test)
    await sequence_all(under_test)

    assert await places(under_test) == [(1, early), (2, late)]


async def test_relays_at_the_same_time_move_each_event_once(under_test: StoreUnderTest) -> None:
    """Whichever of them gets which batch."""
    staged = events(12)
    await commit(under_test, *staged)

    await asyncio.gather(*(sequence_all(under_test, limit=3) for _ in range(3)))
    await sequence_all(under_test)

    assert await places(under_test) == [*enumerate(staged, 1)]


async def test_one_relay_works_at_a_time(under_test: StoreUnderTest) -> None:
    """The others go away at once."""
    staged = events(3)
    await commit(under_test, *staged)
    async with under_test.sequencing(2):
        meanwhile = await under_test.store.sequence(100)
    await sequence_all(under_test)

    assert meanwhile is None
    assert await places(under_test) == [*enumerate(staged, 1)]


async def test_a_relay_that_dies_in_mid_batch_loses_nothing(under_test: StoreUnderTest) -> None:
    """What it had taken is staged again, and no position is used up."""
    staged = events(3)
    await commit(under_test, *staged)
    with suppress(Refused):
        async with under_test.sequencing(2):
            raise Refused
    await sequence_all(under_test)

    assert await places(under_test) == [*enumerate(staged, 1)]


async def test_positions_go_on_where_the_beginning_of_the_log_is_gone(under_test: StoreUnderTest) -> None:
    """Retention takes it away; a position is given to one event ever."""
    [*_, third], after = events(3), events(1)[0]
    await commit(under_test, *events(2), third)
    await sequence_all(under_test)
    await under_test.forget_log(2)
    await commit(under_test, after)
    await sequence_all(under_test)

    assert await places(under_test) == [(3, third), (4, after)]


async def test_the_floor_of_an_unused_store_is_zero(under_test: StoreUnderTest) -> None:
    """No id was ever given out."""
    assert await raise_floor(under_test) == 0


async def test_the_floor_of_an_idle_store_is_the_last_id(under_test: StoreUnderTest) -> None:
    """The next scan begins at the very end, also behind what was rolled back."""
    await commit(under_test, *events(3))
    await roll_back(under_test, *events(2))
    await sequence_all(under_test)

    assert await raise_floor(under_test) == 5


async def test_the_floor_is_left_alone_while_a_relay_works(under_test: StoreUnderTest) -> None:
    """What is taken is neither staged nor gone."""
    await commit(under_test, *events(3))
    await sequence_all(under_test)
    async with under_test.sequencing(100):
        floor_meanwhile = await raise_floor(under_test)

    assert (floor_meanwhile, await raise_floor(under_test)) == (0, 3)


async def test_the_floor_never_passes_what_may_still_commit(under_test: StoreUnderTest) -> None:
    """A floor of the highest id lost 552 of 3,795 events."""
    early, late = events(2)
    async with under_test.writing() as slow:
        await slow.stage(late)
        await commit(under_test, early)
        await raise_floor(under_test)
        await sequence_all(under_test)
        floor_while_open = await raise_floor(under_test)
    await sequence_all(under_test)

    assert floor_while_open == 0
    assert await places(under_test) == [(1, early), (2, late)]


async def test_a_writer_that_begins_after_the_first_look_is_not_passed_either(under_test: StoreUnderTest) -> None:
    """The floor is decided in two looks: ids taken between them lie above what the first look chose."""
    await commit(under_test, *events(5))
    await sequence_all(under_test)
    await raise_floor(under_test, times=1)
    async with under_test.writing() as slow:
        await slow.stage(*events(1))
        await commit(under_test, *events(1))
        await sequence_all(under_test)
        floor_while_open = await raise_floor(under_test)
    await sequence_all(under_test)

    assert floor_while_open == 5
    assert [position for position, _ in await places(under_test)] == [1, 2, 3, 4, 5, 6, 7]


async def test_only_the_writers_of_the_first_look_hold_the_floor(under_test: StoreUnderTest) -> None:
    """New ones all the time do not."""
    async with AsyncExitStack() as until_the_other_has_ended:
        async with under_test.writing() as one:
            await one.stage(*events(1))
            await raise_floor(under_test, times=1)
            other = await until_the_other_has_ended.enter_async_context(under_test.writing())
            await other.stage(*events(1))
        await sequence_all(under_test)
        floor_while_other_writes = await raise_floor(under_test, times=1)
    await sequence_all(under_test)

    assert floor_while_other_writes == 1
    assert [position for position, _ in await places(under_test)] == [1, 2]


async def test_what_is_committed_and_not_yet_moved_holds_the_floor(under_test: StoreUnderTest) -> None:
    """It waits for the next batch."""
    staged = events(5)
    await commit(under_test, *staged)
    await under_test.store.sequence(2)
    floor = await raise_floor(under_test)
    await sequence_all(under_test)

    assert floor == 2
    assert await places(under_test) == [*enumerate(staged, 1)]
