"""The sequencer on real PostgreSQL: nothing lost, nothing reordered, no gaps, whoever is slow or dies."""

import asyncio
import random
from collections import defaultdict
from contextlib import suppress
from functools import partial
from uuid import UUID

import asyncpg
import pytest
from sqlalchemy.exc import DBAPIError

from rustok.db.failures import is_transient
from rustok.testing import DatabaseServer
from tests.integration.events.log import TENANT, Log, connected, stage, until_gone, until_waiting, wind


class Refused(Exception):
    """A rule of a service says no."""


class Writers:
    """Eight writers on a few aggregates: seeded pauses, and one transaction in twenty rolls back."""

    def __init__(self, log: Log, clocks: list[UUID], seed: int) -> None:
        self.rolled_back: set[int] = set()
        self.committed = 0
        self._log = log
        self._clocks = clocks
        self._seed = seed

    async def run(self, transactions_each: int) -> None:
        await asyncio.gather(*(self._write(writer, transactions_each) for writer in range(8)))

    async def _write(self, writer: int, transactions: int) -> None:
        chance = random.Random(self._seed * 100 + writer)
        for number in range(transactions):
            transaction = writer * 10_000 + number + 1
            times = chance.randint(1, 3)
            fails = chance.random() < 0.05
            with suppress(Refused):
                async with self._log.begin() as uow:
                    await wind(uow, chance.choice(self._clocks), times=times, transaction=transaction)
                    await uow.flush(self._log.transport)
                    await asyncio.sleep(chance.random() * 0.002)  # the load, not a wait: it opens the window
                    if fails:
                        self.rolled_back.add(transaction)
                        raise Refused
                self.committed += times


async def relay(log: Log, writers_done: asyncio.Event) -> None:
    """Sequence until the writers have ended and nothing is left."""
    moved = True
    while moved or not writers_done.is_set():
        moved = bool(await log.answered(partial(log.sequencer.sequence, 50)))
        await log.raise_floor()
        await asyncio.sleep(0.004)  # the relays' own poll interval


@pytest.mark.under_fire
async def test_no_event_is_lost_or_reordered_under_concurrency(log: Log, database_server: DatabaseServer) -> None:
    """Eight writers, three relays, a writer left open here and one in another database: seed 20260201."""
    clocks = await log.create_clocks(6)
    writers, writers_done = Writers(log, clocks, seed=20260201), asyncio.Event()

    async with (
        database_server.throw_away() as elsewhere,
        connected(elsewhere.admin_url) as other_database,
        log.admin() as here,
    ):
        for connection in (other_database, here):
            await connection.execute("BEGIN")
            await stage(connection)
        relays = [asyncio.create_task(relay(log, writers_done)) for _ in range(3)]
        await writers.run(transactions_each=190)
        writers_done.set()
        await asyncio.gather(*relays)
        await here.execute("COMMIT")
    await log.sequence_all()

    logged = await log.read_all()
    versions: dict[UUID, list[int]] = defaultdict(list)
    for event in logged:
        versions[event.envelope.aggregate_id].append(event.envelope.aggregate_version)
    the_one_left_open = [clock for clock in versions if clock not in clocks]
    transactions = {event.envelope.payload["transaction"] for event in logged}
    assert writers.committed > 2_500, "the load was meant to be larger"
    assert len(logged) == writers.committed + 1
    assert [event.position for event in logged] == list(range(1, len(logged) + 1)), "gaps"
    assert {clock for clock, seen in versions.items() if seen != list(range(1, len(seen) + 1))} == set(), "reordered"
    assert transactions & writers.rolled_back == set(), "ghosts"
    assert len(the_one_left_open) == 1, "what committed last"


async def test_a_naive_poller_loses_what_commits_late(log: Log) -> None:
    """The control: `id > last_seen` over the same table, scripted, must lose; so the tests here can see losses."""
    seen: list[int] = []

    async def poll() -> None:
        async with log.admin() as poller:
            rows = await poller.fetch("SELECT id FROM outbox WHERE id > $1 ORDER BY id", max(seen, default=0))
            seen.extend(row["id"] for row in rows)

    async with log.admin() as early, log.admin() as late:
        await early.execute("BEGIN")
        [first] = await stage(early)
        [second] = await stage(late)
        await poll()
        await early.execute("COMMIT")
        await poll()

    assert (first, second, seen) == (1, 2, [2])


@pytest.mark.under_fire
async def test_the_sequencer_does_not_lose_what_commits_late(log: Log) -> None:
    """The same script as the control's."""
    async with log.admin() as early, log.admin() as late:
        await early.execute("BEGIN")
        await stage(early)
        await stage(late)
        await log.sequence_all()
        await early.execute("COMMIT")
        await log.sequence_all()

    assert [event.position for event in await log.read_all()] == [1, 2]


async def test_a_relay_that_is_killed_in_mid_call_loses_nothing(log: Log) -> None:
    """Its transaction rolls back: what it had deleted is in the outbox again, and no position is used up."""
    async with log.admin() as blocker, log.admin() as killer:
        await stage(killer, 10)
        await blocker.execute("BEGIN; LOCK TABLE event_log IN SHARE MODE")
        call = asyncio.create_task(log.sequencer.sequence(100))
        await until_waiting(killer, "%sequence_outbox%")
        await killer.execute(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
            " WHERE datname = current_database() AND wait_event_type = 'Lock'"
        )
        with pytest.raises(DBAPIError) as lost:
            await call
        await blocker.execute("ROLLBACK")
    await log.sequence_all(batch=3)

    assert is_transient(lost.value)
    assert [event.position for event in await log.read_all()] == list(range(1, 11))


@pytest.mark.under_fire
async def test_a_relay_that_is_killed_before_its_commit_loses_nothing(log: Log) -> None:
    """Also when it had finished its work."""
    async with log.admin() as admin, log.admin() as doomed:
        await stage(admin, 10)
        await doomed.execute("BEGIN")
        await doomed.execute("SELECT sequence_outbox(100)")
        await admin.execute("SELECT pg_terminate_backend($1)", doomed.get_server_pid())
        await until_gone(admin, doomed.get_server_pid())
    await log.sequence_all(batch=3)

    assert [event.position for event in await log.read_all()] == list(range(1, 11))


@pytest.mark.under_fire
async def test_the_log_gets_its_next_partition_without_a_gap(log: Log) -> None:
    """Positions go on across the boundary at a million, whoever of the relays meets it."""
    async with log.admin() as admin:
        await move_head_to(admin, 999_990)
        await stage(admin, 40)

        await asyncio.gather(*(log.sequence_all(batch=7) for _ in range(3)))
        await log.sequence_all(batch=7)
        partitions = await admin.fetch(
            "SELECT relname FROM pg_class WHERE relispartition AND relname ~ '^event_log_[0-9]+$' ORDER BY relname"
        )

    positions = [event.position for event in await log.read_all()]
    assert positions == list(range(999_990, 1_000_031))
    assert [row["relname"] for row in partitions] == ["event_log_000000", "event_log_000001"]


@pytest.mark.under_fire
async def test_a_shard_is_read_across_the_boundary_of_partitions(log: Log) -> None:
    """One page may lie in two of them."""
    async with log.admin() as admin:
        await move_head_to(admin, 999_998)
        await stage(admin, 4)
    await log.sequence_all()

    read = await log.transport.read(1, 999_998, 3)

    assert [event.position for event in read] == [999_999, 1_000_000, 1_000_001]
    assert await log.transport.head() == 1_000_002


async def move_head_to(admin: asyncpg.Connection, position: int) -> None:
    """Write an event at a high position, as if the log had come so far."""
    await admin.execute(
        """
        INSERT INTO event_log (position, shard, event_id, type, schema_version, tenant_id, aggregate_type, aggregate_id,
                               aggregate_version, correlation_id, causation_id, actor, occurred_at, payload)
        SELECT $1, 1, gen_random_uuid(), 'clocks.clock.wound', 1, $2, 'clock', gen_random_uuid(), 1, gen_random_uuid(),
               gen_random_uuid(), 'test:log', now(), '{}'
        """,
        position,
        TENANT,
    )
