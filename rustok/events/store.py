"""The sequencer's and the consumers' operations on PostgreSQL: each one visible statement."""

import re
from collections.abc import AsyncIterator, Collection, Iterable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from datetime import datetime
from typing import Any

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncEngine

from rustok.db.engine import to_json
from rustok.db.transaction import Transaction, begin, run_alone
from rustok.events.consumer import Batch, Claim
from rustok.events.outbox import COLUMNS, logged_event
from rustok.events.parking import Parked, ParkedState
from rustok.events.sequencer import Sequenced
from rustok.kernel.errors import Misconfigured
from rustok.kernel.event import SHARDS, AggregateKey, LoggedEvent

_NAME = re.compile(r"[a-z0-9_.]+")
_SEQUENCE = text("SELECT event_count, event_types FROM sequence_outbox(:limit)")
_RAISE_FLOOR = text("SELECT raise_outbox_floor()")
_SHARDS = text("SELECT shards FROM log_state")
_CREATE_CHECKPOINTS = text(
    """
    INSERT INTO checkpoints (consumer, shard)
    SELECT consumer, shard
      FROM unnest(CAST(:consumers AS text[])) AS consumer, generate_series(0, :shards - 1) AS shard
        ON CONFLICT DO NOTHING
    """
)
# What comes after a checkpoint *c*, by way of the index on (shard, position). With `shard = c.shard` the planner is
# free to walk through the events of all shards: the whole log, for a shard that has been quiet.
_UNREAD = """
    event_log AS e
     WHERE e.shard BETWEEN c.shard AND c.shard AND e.position > c.position
     ORDER BY e.shard, e.position
"""
_FIRST_DUE = """
    parked_aggregates AS p
     WHERE p.consumer = c.consumer AND p.shard = c.shard AND p.state = 'retrying' AND p.due_at <= :now
       AND (p.needs IS NULL OR p.needs = ANY (CAST(:known AS text[])))
     ORDER BY p.due_at LIMIT 1
"""
_WORK = f"CROSS JOIN LATERAL ((SELECT FROM {_UNREAD} LIMIT 1) UNION ALL (SELECT FROM {_FIRST_DUE})) AS work"
_BEHIND = text(f"SELECT DISTINCT c.consumer FROM current_checkpoints() AS c {_WORK}")
_IS_BEHIND = text(f"SELECT EXISTS (SELECT FROM checkpoints_of(:consumer) AS c {_WORK})")
# Effects and checkpoint are lost together when the server crashes right after, and are simply made again from the
# log; so nobody waits for the disk.
_BEGIN = "BEGIN; SET LOCAL synchronous_commit = off"
_CLAIM = text("SELECT shard, position, has_due FROM claim_checkpoints(:consumer, :now, CAST(:known AS text[]), :limit)")
# A statement after the claim's: only its snapshot has all that earlier holders parked. The look into
# parked_aggregates is one by key for each event; EXISTS might be answered by reading all that is parked.
_READ = text(
    f"""
    SELECT shard,
           (SELECT p.position FROM parked_aggregates AS p
             WHERE p.consumer = :consumer AND p.tenant_id = batch.tenant_id AND p.aggregate_id = batch.aggregate_id)
               IS NOT NULL AS is_parked,
           {COLUMNS}
      FROM (SELECT unread.*
              FROM json_to_recordset(CAST(:claimed AS json)) AS c (shard smallint, position bigint)
             CROSS JOIN LATERAL (SELECT shard, {COLUMNS} FROM {_UNREAD} LIMIT :limit) AS unread
             ORDER BY unread.position LIMIT :limit) AS batch
     ORDER BY position
    """
)
_ADVANCE = "SELECT move_checkpoints('{consumer}', '{{{shards}}}', '{{{befores}}}', '{{{afters}}}');"
_PARKED_COLUMNS = (
    """tenant_id, aggregate_id, aggregate_type, position, state, attempts, due_at, error, parked_at, needs"""
)
# SKIP LOCKED: a claim that waits for a redrive, which waits for it, would be a deadlock.
_DUE = text(
    f"""
    SELECT {_PARKED_COLUMNS} FROM parked_aggregates
     WHERE consumer = :consumer AND shard = ANY (CAST(:shards AS smallint[]))
       AND state = 'retrying' AND due_at <= :now
       AND (needs IS NULL OR needs = ANY (CAST(:known AS text[])))
     ORDER BY due_at LIMIT :limit
       FOR UPDATE SKIP LOCKED
    """
)
_READ_AGGREGATE = text(
    f"""
    SELECT {COLUMNS} FROM event_log
     WHERE tenant_id = :tenant_id AND aggregate_id = :aggregate_id AND position BETWEEN :first AND :last
     ORDER BY position LIMIT :limit
    """
)
_PARK = text(
    """
    INSERT INTO parked_aggregates (consumer, shard, tenant_id, aggregate_id, aggregate_type, position, state,
                                   attempts, due_at, error, parked_at, needs)
    VALUES (:consumer, :shard, :tenant_id, :aggregate_id, :aggregate_type, :position, :state,
            :attempts, :due_at, :error, :parked_at, :needs)
        ON CONFLICT (consumer, tenant_id, aggregate_id)
        DO UPDATE SET position = excluded.position, state = excluded.state, attempts = excluded.attempts,
                      due_at = excluded.due_at, error = excluded.error, needs = excluded.needs
    """
)
_UNPARK = text(
    """
    DELETE FROM parked_aggregates
     WHERE consumer = :consumer AND tenant_id = :tenant_id AND aggregate_id = :aggregate_id
    """
)


class PostgresSequencerStore:
    """Calls the server-side functions, each in a transaction of its own."""

    def __init__(self, engine: AsyncEngine) -> None:
        self._engine = engine

    async def sequence(self, limit: int) -> Sequenced | None:
        shards = list(await run_alone(self._engine, _SEQUENCE, {"limit": limit}))
        if not shards:
            return None
        return Sequenced(sum(s.event_count for s in shards), {name for s in shards for name in s.event_types})

    async def raise_floor(self) -> None:
        await run_alone(self._engine, _RAISE_FLOOR)


class PostgresConsumerStore:
    """*known*: the events that this release knows, as `Envelope.schema`. What waits for another is none of its work."""

    def __init__(self, engine: AsyncEngine, known: Iterable[str] = ()) -> None:
        self._engine = engine
        self._known = sorted(known)

    async def prepare(self, consumers: Iterable[str]) -> None:
        """Create the checkpoints that are missing, at the start of the log.

        Raises:
            Misconfigured: the database was installed with another number of shards.

        """
        installed = (await run_alone(self._engine, _SHARDS)).scalar_one()
        if installed != SHARDS:
            raise Misconfigured(f"This database has {installed} shards, this release {SHARDS}: they must agree.")
        await run_alone(self._engine, _CREATE_CHECKPOINTS, {"consumers": list(consumers), "shards": SHARDS})

    async def behind(self, now: datetime) -> Collection[str]:
        rows = await run_alone(self._engine, _BEHIND, {"now": now, "known": self._known})
        return [row.consumer for row in rows]

    async def is_behind(self, consumer: str, now: datetime) -> bool:
        row = await run_alone(self._engine, _IS_BEHIND, {"consumer": consumer, "now": now, "known": self._known})
        return bool(row.scalar_one())

    @asynccontextmanager
    async def claim(self, consumer: str, now: datetime, limit: int) -> AsyncIterator[Claim | None]:
        if not _NAME.fullmatch(consumer):
            raise ValueError(f"{consumer!r} is no name of a consumer")
        async with begin(self._engine, _BEGIN) as (transaction, _):
            values = {"consumer": consumer, "now": now, "known": self._known}
            shards = list(await transaction.execute(_CLAIM, {**values, "limit": limit}))
            yield _PostgresClaim(transaction, values, shards) if shards else None


class _PostgresClaim:
    def __init__(self, transaction: Transaction, values: Mapping[str, Any], shards: Sequence[Any]) -> None:
        self.transaction = transaction
        self.positions = {row.shard: row.position for row in shards}
        self._values = values
        self._consumer = values["consumer"]
        self._shards_with_due = [row.shard for row in shards if row.has_due]

    async def read(self, limit: int) -> Batch:
        values = {"consumer": self._consumer, "claimed": _places(self.positions), "limit": limit}
        return _batch(await self.transaction.execute(_READ, values))

    async def advance(self, positions: Mapping[int, int]) -> None:
        self.transaction.last_words = _ADVANCE.format(
            consumer=self._consumer,
            shards=_numbers(positions),
            befores=_numbers(self.positions[shard] for shard in positions),
            afters=_numbers(positions.values()),
        )

    async def due(self, limit: int) -> Sequence[Parked]:
        if not self._shards_with_due:
            return []
        values = {**self._values, "shards": self._shards_with_due, "limit": limit}
        return [_parked(row) for row in await self.transaction.execute(_DUE, values)]

    async def read_aggregate(self, parked: Parked, limit: int) -> Sequence[LoggedEvent]:
        bounds = {"first": parked.position, "last": self.positions[parked.shard], "limit": limit}
        rows = await self.transaction.execute(_READ_AGGREGATE, {**parked.key._asdict(), **bounds})
        return [logged_event(row) for row in rows]

    def savepoint(self) -> AbstractAsyncContextManager[Any]:
        return self.transaction.savepoint()

    async def park(self, parked: Parked) -> None:
        values = {name: getattr(parked, name) for name in _PARKED_COLUMNS.split(", ")[2:]}
        names = {"consumer": self._consumer, "shard": parked.shard, **parked.key._asdict()}
        await self.transaction.execute(_PARK, {**names, **values})

    async def unpark(self, key: AggregateKey) -> None:
        await self.transaction.execute(_UNPARK, {"consumer": self._consumer, **key._asdict()})


def _numbers(values: Iterable[int]) -> str:
    return ",".join(str(int(value)) for value in values)


def _places(positions: Mapping[int, int]) -> str:
    return to_json([{"shard": shard, "position": position} for shard, position in positions.items()])


def _batch(rows: Iterable[Any]) -> Batch:
    events: list[LoggedEvent] = []
    parked: set[AggregateKey] = set()
    positions: dict[int, int] = {}
    for shard, is_parked, *columns in rows:
        event = logged_event(columns)
        events.append(event)
        positions[shard] = event.position
        if is_parked:
            parked.add(event.envelope.key)
    return Batch(events, parked, positions)


def _parked(row: Any) -> Parked:
    tenant_id, aggregate_id, aggregate_type, position, state, *rest = row
    return Parked(AggregateKey(tenant_id, aggregate_id), aggregate_type, position, ParkedState(state), *rest)
