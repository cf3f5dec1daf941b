"""Retention: the log loses its oldest partitions, and nobody misses an event."""

import asyncio
from functools import partial

import asyncpg
import pytest

from rustok.events.retention import shorten_log
from tests.integration.events.log import Log, connected, stage

KEPT_DAYS = 90
SHARD_OF_STAGED = 1
PARK = """
    INSERT INTO parked_aggregates
    SELECT 'reader', shard, tenant_id, aggregate_id, aggregate_type, position, 'dead', 5, now(), 'boom', now()
      FROM event_log WHERE position = {position}
"""


@pytest.fixture
async def old_log(log: Log) -> Log:
    """25 events of 100 days ago, read to the end, in partitions of the positions 0-9, 10-19 and from 20 on."""
    async with connected(log.database.owner_url) as owner:
        for partition in await partitions(owner):
            await owner.execute(f"DROP TABLE {partition}")
        for name, first, past in (("a", 0, 10), ("b", 10, 20), ("c", 20, 1_000_000)):
            await owner.execute(
                f"CREATE TABLE event_log_{name} PARTITION OF event_log FOR VALUES FROM ({first}) TO ({past})"
            )
    async with log.admin() as admin:
        await stage(admin, 25)
        await log.sequence_all()
        await admin.execute("UPDATE event_log SET recorded_at = now() - interval '100 days'")
        await admin.execute("INSERT INTO checkpoints SELECT 'reader', shard, 0 FROM generate_series(0, 15) AS shard")
        await admin.execute(f"UPDATE checkpoints SET position = 25 WHERE shard = {SHARD_OF_STAGED}")
    return log


async def shorten(log: Log, kept_days: int = KEPT_DAYS) -> int:
    """Shorten the log as a relay does; return how many partitions it has dropped, as far as it was told."""
    return await log.answered(partial(shorten_log, log.workers_engine, kept_days))


async def partitions(connection: asyncpg.Connection) -> list[str]:
    rows = await connection.fetch(
        "SELECT inhrelid::regclass::text AS name FROM pg_inherits WHERE inhparent = 'event_log'::regclass"
    )
    return sorted(row["name"] for row in rows)


async def positions(log: Log) -> list[int]:
    return [event.position for event in await log.read_all()]


async def test_what_is_old_and_read_is_dropped(old_log: Log) -> None:
    """All but the partition with the newest event; a shard without events holds nothing back."""
    dropped = await shorten(old_log)

    assert dropped == 2
    assert await positions(old_log) == list(range(20, 26))


@pytest.mark.under_fire
async def test_the_log_goes_on_without_a_gap(old_log: Log) -> None:
    """Positions are counted on from the newest event."""
    await shorten(old_log)

    async with old_log.admin() as admin:
        await stage(admin, 3)
    await old_log.sequence_all()

    assert await positions(old_log) == list(range(20, 29))


@pytest.mark.under_fire
@pytest.mark.parametrize(
    ("change", "first_kept"),
    [
        ("UPDATE event_log SET recorded_at = now() - interval '80 days' WHERE position = 9", 1),
        ("UPDATE event_log SET recorded_at = now() - interval '80 days' WHERE position = 19", 10),
        ("UPDATE checkpoints SET position = 8", 1),
        ("UPDATE checkpoints SET position = 9", 10),
        ("INSERT INTO checkpoints VALUES ('newcomer', 1, 0)", 1),
        ("DELETE FROM event_log WHERE position >= 20", 10),
        (PARK.format(position=13), 10),
    ],
    ids=[
        "its newest event is young",
        "the newest event of the second is young",
        "a consumer has an event of it to read",
        "a consumer has read it to the end",
        "a new consumer has read nothing",
        "the partitions above are empty",
        "an aggregate is parked in it",
    ],
)
async def test_what_somebody_needs_is_kept_with_all_above_it(old_log: Log, change: str, first_kept: int) -> None:
    """The log is always one run of positions."""
    async with old_log.admin() as admin:
        await admin.execute(change)

    await shorten(old_log)

    kept = await positions(old_log)
    assert kept == list(range(first_kept, kept[-1] + 1))


@pytest.mark.under_fire
async def test_without_a_limit_everything_is_kept(old_log: Log) -> None:
    """0 days is for ever, not at once."""
    assert await shorten(old_log, 0) == 0
    assert await positions(old_log) == list(range(1, 26))


async def test_a_long_reader_is_not_waited_for(old_log: Log) -> None:
    """Whoever waits for the log keeps new readers out: the next hour is early enough."""
    async with old_log.admin() as reader:
        await reader.execute("BEGIN; SELECT count(*) FROM event_log")

        assert await shorten(old_log) == 0

    assert await shorten(old_log) == 2


async def test_relays_that_do_it_at_once_do_it_once(old_log: Log) -> None:
    """Neither fails, whoever is first."""
    dropped = await asyncio.gather(*(shorten(old_log) for _ in range(4)))

    assert sum(dropped) <= 2
    assert await shorten(old_log) == 2 - sum(dropped)


async def test_nothing_but_a_partition_of_the_log_is_dropped(old_log: Log) -> None:
    """The function has the rights of the tables' owner, its callers have not."""
    async with connected(old_log.database.system_url) as system:
        with pytest.raises(asyncpg.InsufficientPrivilegeError, match="is no partition of the log"):
            await system.fetchval("SELECT drop_event_log_partition('products')")
