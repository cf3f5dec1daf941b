"""What every level of the event transport promises."""

import asyncio
from contextlib import suppress
from datetime import UTC, datetime
from itertools import pairwise
from uuid import UUID

from rustok.kernel.event import SHARDS, AggregateKey, Envelope, shard_of
from rustok.kernel.ids import uuid7
from rustok.testing import a_context
from tests.conformance.transport.levels import TENANT, Level, emit


class Refused(Exception):
    """A rule of a service says no."""


def aggregates_of_one_shard(count: int) -> list[UUID]:
    """Return aggregates that share the shard 3."""
    found = (UUID(int=n) for n in range(10_000))
    return [i for i in found if shard_of(AggregateKey(TENANT, i)) == 3][:count]


async def test_a_committed_event_is_readable_in_its_shard(level: Level) -> None:
    """At the shard of its aggregate, and nowhere else."""
    aggregate = uuid7()
    shard = shard_of(AggregateKey(TENANT, aggregate))

    await level.write(aggregate)
    await level.settle()

    found = {s: len(await level.transport.read(s, 0, 10)) for s in range(SHARDS)}
    assert found == {**dict.fromkeys(range(SHARDS), 0), shard: 1}


async def test_an_event_of_a_rolled_back_transaction_never_appears(level: Level) -> None:
    """No ghost: neither at once nor behind later events."""
    ghost, real = uuid7(), uuid7()

    with suppress(Refused):
        async with level.units.begin(a_context(TENANT, frozenset())) as uow:
            emit(uow, ghost)
            raise Refused
    await level.settle()
    await level.write(real)
    await level.settle()

    assert [event.envelope.aggregate_id for event in await level.read_all()] == [real]


async def test_an_event_is_not_readable_before_its_transaction_commits(level: Level) -> None:
    """What is published inside a transaction belongs to it."""
    async with level.units.begin(a_context(TENANT, frozenset())) as uow:
        emit(uow, uuid7())
        await uow.flush(level.transport)
        await level.settle()
        before = await level.read_all()

    await level.settle()
    assert (before, len(await level.read_all())) == ([], 1)


async def test_events_of_an_aggregate_keep_their_order(level: Level) -> None:
    """Within a transaction and from one to the next."""
    aggregate = uuid7()

    await level.write(aggregate, times=3)
    await level.write(aggregate, version=3, times=2)
    await level.settle()

    assert [event.envelope.aggregate_version for event in await level.read_all()] == [1, 2, 3, 4, 5]


async def test_positions_begin_at_one_and_have_no_gaps(level: Level) -> None:
    """Also where transactions rolled back, and over several aggregates and steps."""
    for round_number in range(3):
        await level.write(uuid7(), times=2)
        with suppress(Refused):
            async with level.units.begin(a_context(TENANT, frozenset())) as uow:
                emit(uow, uuid7(), times=3)
                raise Refused
        if round_number != 1:
            await level.settle()
        await level.write(uuid7())
    await level.settle()

    assert [event.position for event in await level.read_all()] == list(range(1, 10))


async def test_positions_rise_within_a_shard(level: Level) -> None:
    """A shard sees a part of the positions, in order."""
    for _ in range(40):
        await level.write(uuid7())
    await level.settle()

    for shard in range(SHARDS):
        positions = [event.position for event in await level.transport.read(shard, 0, 100)]
        assert all(earlier < later for earlier, later in pairwise(positions))


async def test_events_of_concurrent_transactions_are_all_there(level: Level) -> None:
    """Twenty at once: none is lost, none is double."""
    aggregates = [uuid7() for _ in range(20)]

    await asyncio.gather(*(level.write(aggregate) for aggregate in aggregates))
    await level.settle()

    assert sorted(event.envelope.aggregate_id for event in await level.read_all()) == sorted(aggregates)


async def test_a_shard_is_read_page_by_page(level: Level) -> None:
    """`after` is the last position read, `limit` the most that comes back."""
    first, second, third = aggregates_of_one_shard(3)
    for aggregate in (first, second, third):
        await level.write(aggregate)
    await level.settle()

    pages = [await level.transport.read(3, 0, 2)]
    pages.append(await level.transport.read(3, pages[0][-1].position, 2))
    pages.append(await level.transport.read(3, pages[1][-1].position, 2))

    assert [[event.envelope.aggregate_id for event in page] for page in pages] == [[first, second], [third], []]


async def test_a_page_is_not_shortened_by_other_shards(level: Level) -> None:
    """The limit counts events of the shard, however far they lie apart."""
    first, second = aggregates_of_one_shard(2)
    await level.write(first)
    for n in range(10_000, 10_100):
        if shard_of(AggregateKey(TENANT, UUID(int=n))) != 3:
            await level.write(UUID(int=n))
    await level.write(second)
    await level.settle()

    assert [event.envelope.aggregate_id for event in await level.transport.read(3, 0, 2)] == [first, second]


async def test_reading_behind_the_end_finds_nothing(level: Level) -> None:
    """A consumer may be there first."""
    await level.write(uuid7())
    await level.settle()

    assert [await level.transport.read(shard, 1_000_000, 10) for shard in range(SHARDS)] == [[]] * SHARDS


async def test_the_head_of_an_empty_log_is_zero(level: Level) -> None:
    """Positions begin at one."""
    assert await level.transport.head() == 0


async def test_the_head_is_the_highest_position(level: Level) -> None:
    """Of all shards together."""
    for _ in range(5):
        await level.write(uuid7(), times=2)
    await level.settle()

    assert await level.transport.head() == 10


async def test_an_envelope_comes_back_as_it_went_in(level: Level) -> None:
    """Ids, circumstances and payload: scripts and other systems compare them."""
    envelope = Envelope(
        event_id=UUID("01890a5d-ac96-774b-bcce-b302099a8058"),
        type="notes.note.noted",
        schema_version=7,
        tenant_id=TENANT,
        aggregate_type="note",
        aggregate_id=UUID("01890a5d-ac96-774b-bcce-b302099a8059"),
        aggregate_version=2**40,
        correlation_id=UUID("01890a5d-ac96-774b-bcce-b302099a805a"),
        causation_id=UUID("01890a5d-ac96-774b-bcce-b302099a805b"),
        traceparent="00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01",
        actor="apikey:01890a5d",
        occurred_at=datetime(2026, 2, 1, 12, 30, 15, 123456, tzinfo=UTC),
        payload={
            "text": "Grüße ☃ \\u0041 \"quoted\" 'single' \n\t :name %s",
            "numbers": [0, -1, 2**53 - 1, 0.1, 1e-7],
            "nothing": None,
            "truth": [True, False],
            "nested": {"a": {"b": []}},
            "": "empty key",
        },
    )

    async with level.units.begin(a_context(TENANT, frozenset())) as uow:
        await level.transport.publish(uow, [envelope])
    await level.settle()

    [logged] = await level.read_all()
    assert logged.envelope == envelope


async def test_a_transaction_without_events_publishes_nothing(level: Level) -> None:
    """Nobody is woken for it."""
    async with level.units.begin(a_context(TENANT, frozenset())):
        pass
    await level.settle()

    assert (await level.transport.head(), level.commits) == (0, [])


async def test_the_process_is_told_of_a_commit_once(level: Level) -> None:
    """However many events it had."""
    await level.write(uuid7(), times=3)

    assert level.commits == ["committed"]


async def test_the_process_is_not_told_of_a_rollback(level: Level) -> None:
    """There is nothing to fetch."""
    with suppress(Refused):
        async with level.units.begin(a_context(TENANT, frozenset())) as uow:
            emit(uow, uuid7())
            await uow.flush(level.transport)
            raise Refused

    assert level.commits == []
