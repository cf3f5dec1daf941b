"""A consumer over the real store: a poisoned aggregate waits in order, everything else flows."""

import asyncio
from collections.abc import AsyncIterator, Collection, Sequence
from contextlib import asynccontextmanager
from dataclasses import replace
from datetime import UTC, datetime
from functools import partial
from uuid import UUID

import pytest
from asyncpg import InternalClientError
from sqlalchemy import text
from sqlalchemy.exc import DBAPIError
from sqlalchemy.ext.asyncio import AsyncConnection

from rustok.db.engine import open_engine
from rustok.db.failures import is_transient
from rustok.events.consumer import Claim, Consumer, ConsumerConfig
from rustok.events.dead_letters import Choice
from rustok.events.parking import ParkedState, RetryPolicy
from rustok.events.store import PostgresConsumerStore
from rustok.jobs.dead_letters import DeadLetter, each_dead_letter
from rustok.kernel.errors import Misconfigured
from rustok.kernel.event import AggregateKey, LoggedEvent, shard_of
from rustok.testing import FixedClock
from tests.integration.events.log import TENANT, Log, connected, redrive, stage, until_waiting, wind

CLOCKS = [UUID(int=n) for n in range(1, 200)]
SHARD = 3
A, B, C = [clock for clock in CLOCKS if shard_of(AggregateKey(TENANT, clock)) == SHARD][:3]
ELSEWHERE = [clock for clock in CLOCKS if shard_of(AggregateKey(TENANT, clock)) != SHARD][:20]

_EFFECT = text("INSERT INTO effects (clock, version) VALUES (:clock, :version)")
_EFFECTS = text("SELECT clock, version FROM effects ORDER BY number")
_PARK_DEAD = """
    INSERT INTO parked_aggregates
    SELECT $1, $2, $3, aggregate_id, 'clock', 1, 'dead', 5, now(), 'ValueError: boom', now()
      FROM unnest($4::uuid[]) AS aggregate_id
"""
_ROWS_READ = "SELECT sum(seq_tup_read + idx_tup_fetch) FROM pg_stat_xact_user_tables WHERE relname LIKE "
_PARKED_ROWS_READ = text(_ROWS_READ + "'parked_aggregates'")
_EVENT_ROWS_READ = text(_ROWS_READ + "'event_log_0%'")
_READ_OF_CHECKPOINTS = """
    SELECT pg_stat_get_xact_tuples_returned('checkpoints_pkey'::regclass),
           pg_stat_get_xact_numscans('checkpoints'::regclass)
"""
_MOVE = """
    SELECT move_checkpoints('clocks.recorder', ARRAY(SELECT generate_series(0, 15)::smallint),
                            array_fill(n::bigint, ARRAY[16]), array_fill(n::bigint + 1, ARRAY[16]))
      FROM generate_series({first}, {last} - 1) AS n
"""
_DATA_ERROR = text("SELECT CAST(:value AS integer)")


class RecordingHandler:
    """Writes each event down; at the aggregates in `broken` PostgreSQL refuses a value."""

    name = "clocks.recorder"
    subscribes: tuple[str, ...] = ("clocks.*",)

    def __init__(self) -> None:
        self.broken: set[UUID] = set()

    async def handle(self, transaction: AsyncConnection, events: Sequence[LoggedEvent]) -> None:
        for event in events:
            if event.envelope.aggregate_id in self.broken:
                await transaction.execute(_DATA_ERROR, {"value": "square"})
            values = {"clock": event.envelope.aggregate_id, "version": event.envelope.aggregate_version}
            await transaction.execute(_EFFECT, values)


class Station:
    """A consumer with a clock that is moved by hand."""

    def __init__(self, log: Log) -> None:
        self.log = log
        self.clock = FixedClock(datetime.now(UTC))  # `redrive` goes by PostgreSQL's clock
        self.handler = RecordingHandler()
        self.store = PostgresConsumerStore(log.workers_engine)
        config = ConsumerConfig(retry=RetryPolicy(attempts=3, first_delay_s=10, growth=1))
        self.consumer = Consumer(config, self.store, self.clock, self.handler)

    async def write(self, *clocks: UUID) -> None:
        """Commit an event of each clock, one transaction each, and sequence them."""
        for clock in clocks:
            async with self.log.begin() as uow:
                await wind(uow, clock)
        await self.log.sequence_all()

    async def drain(self) -> None:
        await self.log.answered(self.consumer.drain)

    async def behind(self) -> Collection[str]:
        return await self.log.answered(partial(self.store.behind, self.clock.now()))

    async def retry(self, times: int = 1) -> None:
        """Let the next attempt become due, and make it."""
        for _ in range(times):
            self.clock.advance(10)
            await self.drain()

    @asynccontextmanager
    async def claimed(self) -> AsyncIterator[Claim]:
        """Claim what is behind, on a new connection: PostgreSQL counts what it reads from zero."""
        async with (
            open_engine(self.log.database.system_url, pool_size=1) as engine,
            PostgresConsumerStore(engine).claim(self.handler.name, self.clock.now(), 500) as claim,
        ):
            assert claim is not None, "something should be behind and free"
            yield claim

    async def park_dead(self, clocks: Sequence[UUID]) -> None:
        """Leave dead letters of the consumer in the shard, as another process would."""
        async with self.log.admin() as admin:
            await admin.execute(_PARK_DEAD, self.handler.name, SHARD, TENANT, clocks)

    async def letters(self) -> list[DeadLetter]:
        """Return what is parked."""
        return await each_dead_letter(self.log.system_engine, Choice())

    async def effects(self) -> dict[UUID, list[int]]:
        """Return the versions that took effect, by clock, in order."""
        found: dict[UUID, list[int]] = {}
        async with self.log.system_engine.connect() as connection:
            for row in await connection.execute(_EFFECTS):
                found.setdefault(row.clock, []).append(row.version)
        return found


@pytest.fixture
async def station(log: Log) -> Station:
    async with log.admin() as admin:
        await admin.execute("DROP TABLE IF EXISTS effects")
        await admin.execute("CREATE TABLE effects (number bigserial, clock uuid, version bigint)")
        await admin.execute("GRANT ALL ON effects, effects_number_seq TO rustok_system")
        await admin.executemany("INSERT INTO clocks VALUES ($1, 0)", [(clock,) for clock in (A, B, C, *ELSEWHERE)])
    station = Station(log)
    await PostgresConsumerStore(log.system_engine).prepare([station.handler.name])
    return station


@pytest.mark.under_fire
async def test_neighbours_of_a_poisoned_aggregate_take_effect(station: Station) -> None:
    """In the same run that finds the poison."""
    station.handler.broken = {B}
    await station.write(A, B, C, A)

    await station.drain()

    assert await station.effects() == {A: [1, 2], C: [1]}


@pytest.mark.under_fire
async def test_a_parked_aggregate_is_listed_with_what_waits_for_it(station: Station) -> None:
    """Where, since when, why, and how many events wait, also those that came later."""
    station.handler.broken = {B}
    await station.write(A, B)
    await station.drain()
    await station.write(B, A, B)
    await station.drain()

    [letter] = await station.letters()

    assert (letter.what, letter.tenant_id) == ("clocks.recorder", TENANT)
    assert (letter.aggregate_type, letter.id, letter.position) == ("clock", B, 2)
    assert (letter.state, letter.attempts, letter.since) == ("retrying", 1, station.clock.now())
    assert letter.waiting_events == 3


@pytest.mark.under_fire
async def test_the_error_of_a_parked_aggregate_is_told_without_the_statement(station: Station) -> None:
    """One line, for a person."""
    station.handler.broken = {B}
    await station.write(B)
    await station.drain()

    [letter] = await station.letters()

    assert "\n" not in letter.error
    assert "SELECT" not in letter.error
    assert "invalid input" in letter.error


@pytest.mark.under_fire
async def test_an_aggregate_is_a_dead_letter_after_its_attempts(station: Station) -> None:
    """Three, here; then nobody tries again by himself."""
    station.handler.broken = {B}
    await station.write(B)
    await station.drain()
    await station.retry(times=2)
    station.handler.broken = set()
    await station.retry(times=3)

    [letter] = await station.letters()

    assert (letter.state, letter.attempts, await station.effects()) == ("dead", 3, {})


@pytest.mark.under_fire
async def test_a_redriven_aggregate_is_replayed_in_order(station: Station) -> None:
    """From its first waiting event to the last, also those that came while it was dead."""
    station.handler.broken = {B}
    await station.write(B, A)
    await station.drain()
    await station.retry(times=2)
    await station.write(B, A, B)
    await station.drain()
    station.handler.broken = set()

    redriven = await redrive(station.log.system_engine, TENANT, Choice(what="clocks.recorder"))
    await station.retry()

    assert (redriven, await station.effects()) == (1, {A: [1, 2], B: [1, 2, 3]})
    assert await station.letters() == []


@pytest.mark.under_fire
async def test_a_redriven_aggregate_that_is_still_broken_has_all_its_attempts_again(station: Station) -> None:
    """And its place in the log."""
    station.handler.broken = {B}
    await station.write(A, B)
    await station.drain()
    await station.retry(times=2)

    await redrive(station.log.system_engine, TENANT, Choice(id=B))
    await station.retry()

    [letter] = await station.letters()
    assert (letter.state, letter.attempts, letter.position) == ("retrying", 1, 2)


@pytest.mark.under_fire
@pytest.mark.parametrize(
    ("tenant_id", "chosen"),
    [
        (TENANT, Choice(what="somebody.else")),
        (TENANT, Choice(id=A)),
        (TENANT, Choice(fingerprint="000000000000")),
        (TENANT, Choice(until=datetime(2020, 1, 1, tzinfo=UTC))),
        (UUID(int=1), Choice()),
    ],
    ids=str,
)
async def test_what_was_not_chosen_is_not_redriven(station: Station, tenant_id: UUID, chosen: Choice) -> None:
    """Each given field narrows the choice."""
    station.handler.broken = {B}
    await station.write(B)
    await station.drain()

    assert await redrive(station.log.system_engine, tenant_id, chosen) == 0


@pytest.mark.under_fire
async def test_after_a_retry_the_aggregate_goes_on_as_before(station: Station) -> None:
    """Nothing is applied twice and nothing left out."""
    station.handler.broken = {B}
    await station.write(B, B)
    await station.drain()
    station.handler.broken = set()
    await station.write(B)
    await station.retry()
    await station.write(B)
    await station.drain()

    assert await station.effects() == {B: [1, 2, 3, 4]}


async def test_a_lost_connection_parks_nobody(station: Station) -> None:
    """The whole batch is done again later."""

    class LosesItsConnection(RecordingHandler):
        async def handle(self, transaction: AsyncConnection, events: Sequence[LoggedEvent]) -> None:
            await super().handle(transaction, events)
            pid = (await transaction.execute(text("SELECT pg_backend_pid()"))).scalar_one()
            async with station.log.admin() as admin:
                await admin.execute("SELECT pg_terminate_backend($1)", pid)
            await transaction.execute(text("SELECT 1"))

    await station.write(A, B)
    unlucky = Consumer(ConsumerConfig(), station.store, station.clock, LosesItsConnection())

    with pytest.raises((DBAPIError, InternalClientError)) as lost:  # which one depends on what arrives first
        await unlucky.run_once()

    assert is_transient(lost.value)
    assert (await station.letters(), await station.effects()) == ([], {})
    await station.drain()
    assert await station.effects() == {A: [1], B: [1]}


@pytest.mark.under_fire
async def test_the_sweep_sees_who_is_behind(station: Station) -> None:
    """A consumer with events behind its checkpoints, named once however many shards; nobody once it is drained."""
    await station.write(A, *ELSEWHERE)
    before = await station.behind()
    await station.drain()

    assert (before, await station.behind()) == (["clocks.recorder"], [])


@pytest.mark.under_fire
async def test_the_sweep_sees_what_was_redriven(station: Station) -> None:
    """There is no news in the log then."""
    station.handler.broken = {B}
    await station.write(B)
    await station.drain()
    await station.retry(times=2)
    while_dead = await station.behind()

    await redrive(station.log.system_engine, TENANT)

    assert (while_dead, await station.behind()) == ([], ["clocks.recorder"])


@pytest.mark.under_fire
async def test_what_was_parked_after_a_claim_was_made_is_seen_by_its_batch(station: Station) -> None:
    """A holder that let go while the claim's statement ran parked it: its events must wait here as well.

    The claim looks at one moment and holds its shards at a later one; only a statement after that sees everything.
    """
    await station.write(A, B)

    async with station.claimed() as claim:
        await station.park_dead([B])
        batch = await claim.read(10)

    assert set(batch.parked) == {AggregateKey(TENANT, B)}


async def test_a_claim_reads_none_of_ten_thousand_dead_letters(station: Station) -> None:
    """They cost nothing until somebody redrives them: PostgreSQL's own count of rows is that of the batch."""
    await station.park_dead([UUID(int=n) for n in range(1_000_000, 1_010_000)])
    await station.park_dead([C])
    await station.write(A, B, C)

    async with station.claimed() as claim:
        assert list(await claim.due(50)) == []
        assert set((await claim.read(500)).parked) == {AggregateKey(TENANT, C)}
        rows_read = (await claim.transaction.execute(_PARKED_ROWS_READ)).scalar_one()

    assert rows_read == 1


async def test_a_long_log_costs_a_quiet_shard_nothing(station: Station) -> None:
    """Its checkpoint is where its last event was, thousands of events of other shards ago: they are not read."""
    async with station.log.admin() as admin:
        await stage(admin, 5000)
        await station.log.sequence_all()
        await admin.execute("UPDATE checkpoints SET position = 5000 WHERE shard = 1")
        await admin.execute("ANALYZE event_log")
    await station.write(A, B)

    async with station.claimed() as claim:
        batch = await claim.read(500)
        rows_read = (await claim.transaction.execute(_EVENT_ROWS_READ)).scalar_one()

    assert [event.envelope.aggregate_id for event in batch.events] == [A, B]
    assert rows_read == 4  # the claim counts them, then the batch reads them


@pytest.mark.parametrize(
    "question",
    [
        "SELECT * FROM claim_checkpoints('clocks.recorder', now(), '{}', 500)",
        "SELECT * FROM checkpoints_of('clocks.recorder')",
        "SELECT * FROM current_checkpoints()",
        "SELECT * FROM consumer_figures()",
        "SELECT undelivered_age_s('{clocks.recorder}')",
        "SELECT count_caught_up()",
        _MOVE.format(first=800, last=801),
    ],
    ids=["a claim", "where is it", "where are all", "how far behind", "how late", "who has caught up", "a move"],
)
async def test_an_old_snapshot_makes_no_question_longer(station: Station, question: str) -> None:
    """The rows of 800 moves in each shard are kept as long as it is, and nobody reads them, nor their entries."""
    async with station.log.admin() as old, station.log.admin() as admin:
        await old.execute("BEGIN ISOLATION LEVEL REPEATABLE READ; SELECT count(*) FROM checkpoints")
        await admin.execute(_MOVE.format(first=0, last=800))
        await admin.execute("VACUUM (ANALYZE) checkpoints")
        await stage(admin, 2_000)
        await station.log.sequence_all()
        await admin.execute("UPDATE event_log SET shard = position % 16")

        async with connected(station.log.database.admin_url) as asker, asker.transaction():
            await asker.execute(question)
            entries, scans = await asker.fetchrow(_READ_OF_CHECKPOINTS)

    assert (entries < 200, scans) == (True, 0)


@pytest.mark.under_fire
async def test_preparing_again_leaves_consumers_where_they_are(station: Station) -> None:
    """Every process does that when it starts."""
    await station.write(A, *ELSEWHERE)
    await station.drain()

    await station.log.answered(partial(station.store.prepare, [station.handler.name]))

    async with station.log.admin() as admin:
        rows = await admin.fetch("SELECT shard, max(position) AS last, count(*) AS rows FROM checkpoints GROUP BY 1")
    assert {row["rows"] for row in rows} == {1}
    assert max(row["last"] for row in rows) == 1 + len(ELSEWHERE)


_CLAIM_BEFORE = """
    SELECT c.shard, c.position
      FROM checkpoints AS c
     WHERE c.consumer = $1
       AND EXISTS (SELECT FROM event_log AS e WHERE e.shard = c.shard AND e.position > c.position)
     ORDER BY c.shard LIMIT 1 FOR UPDATE OF c SKIP LOCKED
"""
_READ_BEFORE = """
    SELECT aggregate_id, aggregate_version, position
      FROM event_log WHERE shard = $1 AND position > $2 ORDER BY position LIMIT 4
"""


async def drain_as_before(station: Station) -> None:
    """Work as a release does that moves a checkpoint in place (before outbox_009)."""
    consumer, has_more = station.handler.name, True
    while has_more:
        async with connected(station.log.database.system_url) as worker, worker.transaction():
            await worker.execute(
                "INSERT INTO checkpoints (consumer, shard) SELECT $1, generate_series(0, 15) ON CONFLICT DO NOTHING",
                consumer,
            )
            claim = await worker.fetchrow(_CLAIM_BEFORE, consumer)
            has_more = claim is not None
            for clock, version, position in await worker.fetch(_READ_BEFORE, *claim) if claim else ():
                await worker.execute("INSERT INTO effects (clock, version) VALUES ($1, $2)", clock, version)
                await worker.execute(
                    "UPDATE checkpoints SET position = $3 WHERE consumer = $1 AND shard = $2",
                    consumer,
                    claim["shard"],
                    position,
                )


@pytest.mark.under_fire
async def test_a_release_that_moves_checkpoints_in_place_works_beside_this_one(station: Station) -> None:
    """Each sees what the other has done, and a shard has one holder."""
    for _ in range(6):
        await station.write(A, B, C, *ELSEWHERE)
    config = ConsumerConfig(batch=4, batches_a_drain=1000)
    workers = [Consumer(config, station.store, station.clock, station.handler) for _ in range(2)]

    beside = [station.log.answered(worker.drain) for worker in workers]
    await asyncio.gather(drain_as_before(station), drain_as_before(station), *beside)
    await station.drain()

    assert await station.effects() == {clock: [*range(1, 7)] for clock in (A, B, C, *ELSEWHERE)}
    async with station.log.admin() as admin:
        assert await admin.fetchval("SELECT count(*) = 16 FROM checkpoints")


@pytest.mark.under_fire
async def test_several_workers_apply_every_event_once_and_in_order(station: Station) -> None:
    """They take each other's shards in turns, from a backlog and in small batches."""
    for _ in range(3):
        await station.write(A, B, C, *ELSEWHERE)
    config = ConsumerConfig(batch=4, batches_a_drain=1000)
    workers = [Consumer(config, station.store, station.clock, station.handler) for _ in range(4)]

    await asyncio.gather(*(station.log.answered(worker.drain) for worker in workers))

    assert await station.effects() == {clock: [1, 2, 3] for clock in (A, B, C, *ELSEWHERE)}


@pytest.mark.under_fire
async def test_a_redrive_waits_for_a_retry_that_runs(station: Station) -> None:
    """Otherwise the retry's end would overwrite it."""
    station.handler.broken = {B}
    await station.write(B)
    await station.drain()
    station.clock.advance(10)

    async with station.log.admin() as watcher:
        async with station.claimed() as claim:
            [parked] = await claim.due(10)
            redriving = asyncio.create_task(redrive(station.log.system_engine, TENANT))
            await until_waiting(watcher, "%UPDATE parked_aggregates%", redriving)
            await claim.park(replace(parked, state=ParkedState.DEAD, attempts=3))
        await redriving

    [letter] = await station.letters()
    assert (letter.state, letter.attempts) == ("retrying", 0)


@pytest.mark.under_fire
async def test_a_retry_does_not_wait_for_a_redrive(station: Station) -> None:
    """Which may wait for another retry of the same claim: the aggregate is left for the next look."""
    station.handler.broken = {B}
    await station.write(B)
    await station.drain()
    station.clock.advance(10)

    async with station.log.admin() as admin:
        await admin.execute("BEGIN; UPDATE parked_aggregates SET due_at = now()")
        async with station.claimed() as claim:
            assert list(await claim.due(10)) == []


@pytest.mark.under_fire
async def test_thousands_of_dead_letters_are_redriven(station: Station) -> None:
    """A thousand are one transaction; each is redriven once."""
    await station.park_dead([UUID(int=n) for n in range(1_000_000, 1_002_500)])

    redriven = await redrive(station.log.system_engine, TENANT)

    async with station.log.admin() as admin:
        rows = await admin.fetch("SELECT state, count(*) FROM parked_aggregates GROUP BY state, xmin ORDER BY count")
    assert redriven == 2500
    assert [tuple(row) for row in rows] == [("retrying", 500), ("retrying", 1000), ("retrying", 1000)]


async def test_a_database_with_another_number_of_shards_is_refused(station: Station) -> None:
    """Events of an aggregate would change shards, and so their order."""
    async with station.log.admin() as admin:
        await admin.execute("UPDATE log_state SET shards = 8")

    with pytest.raises(Misconfigured, match="8 shards, this release 16"):
        await station.store.prepare(["clocks.recorder"])


@pytest.mark.under_fire
async def test_preparing_a_consumer_again_leaves_it_where_it_is(station: Station) -> None:
    """Every process prepares at its start."""
    await station.write(A)
    await station.drain()
    await station.log.answered(partial(station.store.prepare, [station.handler.name]))
    await station.drain()

    assert await station.effects() == {A: [1]}
