"""The floor: scans of the outbox begin behind what is gone for good, and never behind what may still commit."""

import json

import asyncpg

from rustok.testing import DatabaseServer
from tests.integration.events.log import Log, connected, stage


async def raise_floor(log: Log, times: int = 3) -> int:
    """Raise it several times, as the relays' loops do, and return where it is then."""
    for _ in range(times):
        await log.sequencer.raise_floor()
    return await log.floor()


async def test_the_floor_never_passes_an_id_that_may_still_commit(log: Log) -> None:
    """A floor of max(id) lost 552 of 3,795 events."""
    async with log.admin() as slow, log.admin() as quick:
        await slow.execute("BEGIN")
        [first] = await stage(slow)
        [second] = await stage(quick)
        await raise_floor(log)
        await log.sequence_all()
        floor_while_open = await raise_floor(log)
        await slow.execute("COMMIT")
        await log.sequence_all()

    assert (first, second, floor_while_open) == (1, 2, 0)
    assert len(await log.read_all()) == 2


async def test_a_writer_that_begins_after_the_first_look_is_not_passed_either(log: Log) -> None:
    """The floor is decided in two looks: ids taken between them lie above what the first look chose."""
    async with log.admin() as slow, log.admin() as quick:
        await stage(quick, 5)
        await log.sequence_all()
        await raise_floor(log, times=1)
        await slow.execute("BEGIN")
        [late] = await stage(slow)
        await stage(quick)
        await log.sequence_all()
        floor_while_open = await raise_floor(log)
        await slow.execute("COMMIT")
        await log.sequence_all()

    assert (late, floor_while_open) == (6, 5)
    assert len(await log.read_all()) == 7


async def test_a_writer_that_never_stops_the_others_from_ending_is_waited_for_alone(log: Log) -> None:
    """New writers all the time do not hold the floor: only those of the first look count."""
    async with log.admin() as one, log.admin() as other:
        await one.execute("BEGIN")
        await stage(one)
        await raise_floor(log, times=1)
        await other.execute("BEGIN")
        await stage(other)
        await one.execute("COMMIT")
        await log.sequence_all()
        floor = await raise_floor(log, times=1)
        await other.execute("COMMIT")
        await log.sequence_all()

    assert floor == 1
    assert len(await log.read_all()) == 2


async def test_an_id_that_was_rolled_back_does_not_hold_the_floor(log: Log) -> None:
    """It will never be seen."""
    async with log.admin() as writer:
        await writer.execute("BEGIN")
        await stage(writer, 3)
        await writer.execute("ROLLBACK")
        await stage(writer)
    await log.sequence_all()

    assert await raise_floor(log) == 4


async def test_a_committed_id_that_is_not_sequenced_yet_holds_the_floor(log: Log) -> None:
    """It waits in the outbox for the next batch."""
    async with log.admin() as writer:
        await stage(writer, 5)
    await log.sequencer.sequence(2)

    assert await raise_floor(log) == 2
    await log.sequence_all()
    assert len(await log.read_all()) == 5


async def test_the_floor_of_an_idle_system_is_the_last_id(log: Log) -> None:
    """The next scan begins at the very end."""
    async with log.admin() as writer:
        await stage(writer, 50)
    await log.sequence_all()

    assert await raise_floor(log) == 50


async def test_the_floor_of_an_unused_system_is_zero(log: Log) -> None:
    """No id was ever given out."""
    assert await raise_floor(log) == 0


async def test_a_writer_in_another_database_does_not_hold_the_floor(log: Log, database_server: DatabaseServer) -> None:
    """A floor from the snapshot's xmin froze there: transaction ids belong to the whole cluster."""
    async with database_server.throw_away() as elsewhere, connected(elsewhere.admin_url) as other:
        await other.execute("BEGIN")
        await stage(other)
        async with log.admin() as writer:
            await stage(writer, 5)
        await log.sequence_all()

        assert await raise_floor(log) == 5


async def test_an_idle_system_does_not_rewrite_the_floor(log: Log) -> None:
    """A dead row version a second would add up while an old snapshot is pinned."""
    async with log.admin() as admin:
        await stage(admin, 5)
        await log.sequence_all()
        await raise_floor(log)
        before = await admin.fetchval("SELECT xmin FROM log_state")
        await raise_floor(log, times=5)

        assert await admin.fetchval("SELECT xmin FROM log_state") == before


async def test_the_floor_is_left_alone_while_a_relay_sequences(log: Log) -> None:
    """Both hold the same lock, for as long as their transaction."""
    async with log.admin() as relay, log.admin() as other:
        await relay.execute("BEGIN")
        await relay.execute("SELECT sequence_outbox(1)")

        assert await other.fetchval("SELECT raise_outbox_floor()") is None


async def test_scans_stay_short_while_an_old_snapshot_is_pinned(log: Log) -> None:
    """Deleted rows cannot be removed then: without the floor each scan would go through all of them."""
    async with log.admin() as old, log.admin() as admin:
        await old.execute("BEGIN ISOLATION LEVEL REPEATABLE READ; SELECT count(*) FROM outbox")
        await stage(admin, 5_000)
        await log.sequence_all()
        await raise_floor(log)

        with_floor = await buffers_of_scan(admin, await log.floor())
        without_floor = await buffers_of_scan(admin, 0)

    assert with_floor * 10 < without_floor


async def buffers_of_scan(admin: asyncpg.Connection, floor: int) -> int:
    """Return how many pages the sequencer's scan touches."""
    await admin.execute("SET enable_seqscan = off")
    plan = await admin.fetchval(
        f"EXPLAIN (ANALYZE, BUFFERS, FORMAT JSON) SELECT id FROM outbox WHERE id > {floor} ORDER BY id LIMIT 100"
    )
    node = json.loads(plan)[0]["Plan"]
    return int(node["Shared Hit Blocks"] + node["Shared Read Blocks"])
