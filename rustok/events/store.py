"""The sequencer's and the consumers' operations on PostgreSQL: each one visible statement."""

from collections.abc import AsyncIterator, Iterable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from typing import Any

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncEngine

from rustok.db.transaction import Transaction, begin, run_alone
from rustok.events.consumer import Claim
from rustok.events.outbox import COLUMNS, logged_event, read_shard
from rustok.events.parking import Parked, ParkedState
from rustok.events.sequencer import Sequenced
from rustok.kernel.errors import Misconfigured
from rustok.kernel.event import SHARDS, AggregateKey, LoggedEvent

_SEQUENCE = text("SELECT event_shard, last_position, event_count, event_types FROM sequence_outbox(:limit)")
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
_BEHIND = text(
    """
    SELECT consumer, shard FROM checkpoints AS c
     WHERE EXISTS (SELECT FROM event_log AS e WHERE e.shard = c.shard AND e.position > c.position)
     UNION
    SELECT consumer, shard FROM parked_aggregates WHERE state = 'retrying' AND due_at <= now()
    """
)
_IS_BEHIND = text(
    """
    SELECT EXISTS (SELECT FROM event_log AS e WHERE e.shard = c.shard AND e.position > c.position)
      FROM checkpoints AS c WHERE c.consumer = :consumer AND c.shard = :shard
    """
)
# Effects and checkpoint are lost together when the server crashes right after, and are simply made again from the
# log; so nobody waits for the disk.
_BEGIN = "BEGIN; SET LOCAL synchronous_commit = off"
_CLAIM = text("SELECT position FROM checkpoints WHERE consumer = :consumer AND shard = :shard FOR UPDATE SKIP LOCKED")
_PARKED_COLUMNS = """tenant_id, aggregate_id, aggregate_type, position, state, attempts, due_at, error, parked_at"""
_PARKED = text(
    f"SELECT {_PARKED_COLUMNS} FROM parked_aggregates WHERE consumer = :consumer AND shard = :shard FOR UPDATE"
)
_READ_AGGREGATE = text(
    f"""
    SELECT {COLUMNS} FROM event_log
     WHERE tenant_id = :tenant_id AND aggregate_id = :aggregate_id AND position BETWEEN :first AND :last
     ORDER BY position
    """
)
_ADVANCE = text("UPDATE checkpoints SET position = :position WHERE consumer = :consumer AND shard = :shard")
_PARK = text(
    """
    INSERT INTO parked_aggregates (consumer, shard, tenant_id, aggregate_id, aggregate_type, position, state,
                                   attempts, due_at, error, parked_at)
    VALUES (:consumer, :shard, :tenant_id, :aggregate_id, :aggregate_type, :position, :state,
            :attempts, :due_at, :error, :parked_at)
        ON CONFLICT (consumer, tenant_id, aggregate_id)
        DO UPDATE SET state = excluded.state, attempts = excluded.attempts, due_at = excluded.due_at,
                      error = excluded.error
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

    async def sequence(self, limit: int) -> Sequence[Sequenced]:
        return [Sequenced(*row) for row in await run_alone(self._engine, _SEQUENCE, {"limit": limit})]

    async def raise_floor(self) -> None:
        await run_alone(self._engine, _RAISE_FLOOR)


class PostgresConsumerStore:
    def __init__(self, engine: AsyncEngine) -> None:
        self._engine = engine

    async def prepare(self, consumers: Iterable[str]) -> None:
        """Create the checkpoints that are missing, at the start of the log.

        Raises:
            Misconfigured: the database was installed with another number of shards.

        """
        async with self._engine.begin() as connection:
            installed = (await connection.execute(_SHARDS)).scalar_one()
            if installed != SHARDS:
                raise Misconfigured(f"This database has {installed} shards, this release {SHARDS}: they must agree.")
            await connection.execute(_CREATE_CHECKPOINTS, {"consumers": list(consumers), "shards": SHARDS})

    async def behind(self) -> list[tuple[str, int]]:
        """Return every (consumer, shard) that has events to read or parked aggregates to retry."""
        async with self._engine.connect() as connection:
            return [(row.consumer, row.shard) for row in await connection.execute(_BEHIND)]

    async def is_behind(self, consumer: str, shard: int) -> bool:
        row = await run_alone(self._engine, _IS_BEHIND, {"consumer": consumer, "shard": shard})
        return bool(row.scalar_one())

    @asynccontextmanager
    async def claim(self, consumer: str, shard: int) -> AsyncIterator[Claim | None]:
        async with begin(self._engine, _BEGIN) as (transaction, _):
            names = {"consumer": consumer, "shard": shard}
            position = (await transaction.execute(_CLAIM, names)).scalar_one_or_none()
            if position is None:
                yield None
                return
            rows = await transaction.execute(_PARKED, names)
            yield _PostgresClaim(transaction, names, position, {p.key: p for p in map(_parked, rows)})


class _PostgresClaim:
    def __init__(
        self,
        transaction: Transaction,
        names: Mapping[str, Any],
        position: int,
        parked: dict[AggregateKey, Parked],
    ) -> None:
        self.transaction = transaction
        self.position = position
        self.parked = parked
        self._names = names

    async def read(self, limit: int) -> list[LoggedEvent]:
        return await read_shard(self.transaction, self._names["shard"], self.position, limit)

    async def read_aggregate(self, parked: Parked) -> list[LoggedEvent]:
        bounds = {**parked.key._asdict(), "first": parked.position, "last": self.position}
        return [logged_event(row) for row in await self.transaction.execute(_READ_AGGREGATE, bounds)]

    def savepoint(self) -> AbstractAsyncContextManager[Any]:
        return self.transaction.savepoint()

    async def advance(self, position: int) -> None:
        await self.transaction.execute(_ADVANCE, {**self._names, "position": position})

    async def park(self, parked: Parked) -> None:
        self.parked[parked.key] = parked
        values = {name: getattr(parked, name) for name in _PARKED_COLUMNS.split(", ")[2:]}
        await self.transaction.execute(_PARK, {**self._names, **parked.key._asdict(), **values})

    async def unpark(self, key: AggregateKey) -> None:
        del self.parked[key]
        await self.transaction.execute(_UNPARK, {**self._names, **key._asdict()})


def _parked(row: Any) -> Parked:
    tenant_id, aggregate_id, aggregate_type, position, state, *rest = row
    return Parked(AggregateKey(tenant_id, aggregate_id), aggregate_type, position, ParkedState(state), *rest)
