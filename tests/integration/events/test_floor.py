"""What the floor does on PostgreSQL; what it must do in every store: `tests/conformance/sequencer_store`."""

import json

import asyncpg
import pytest

from rustok.testing import DatabaseServer
from tests.integration.events.log import Log, connected, stage


async def raise_floor(log: Log, times: int = 3) -> int:
    """Raise it several times, as the relays' loops do, and return where it is then."""
    for _ in range(times):
        await log.raise_floor()
    return await log.floor()


@pytest.mark.under_fire
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
