"""Keeps index tables equal to their sources: lock, then read, then write, in sets.

The order matters. Reading before the lock lets an older reader overwrite a newer one: with only a version
guard, 39 of 2,000 schedules stayed stale for ever; locking first, none.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import islice
from typing import Any

from sqlalchemy import TextClause, text
from sqlalchemy.ext.asyncio import AsyncConnection

from rustok.db.engine import to_json
from rustok.events.consumer import AggregatesFailed
from rustok.index.tables import TABLES
from rustok.kernel.event import AggregateKey, LoggedEvent
from rustok.kernel.module import Projection

_KEYS = "json_to_recordset(CAST(:keys AS json)) AS k (tenant_id uuid, aggregate_id uuid)"

# Both statements go through the keys in the same order everywhere: opposite orders deadlock.
_CREATE_VERSIONS = text(
    f"""
    INSERT INTO index_versions (projection, tenant_id, aggregate_id, version)
    SELECT :projection, tenant_id, aggregate_id, 0 FROM {_KEYS}
     ORDER BY tenant_id, aggregate_id
        ON CONFLICT DO NOTHING
    RETURNING tenant_id, aggregate_id, version
    """
)
# LATERAL, with its own FOR UPDATE, is one look-up a key. Of a join, the planner would make a scan of the whole
# table while that is small, and keep to it when it has grown.
_LOCK_VERSIONS = text(
    f"""
    SELECT v.tenant_id, v.aggregate_id, v.version
      FROM (SELECT tenant_id, aggregate_id FROM {_KEYS} ORDER BY tenant_id, aggregate_id) AS k
     CROSS JOIN LATERAL (
           SELECT tenant_id, aggregate_id, version FROM index_versions
            WHERE projection = :projection AND tenant_id = k.tenant_id AND aggregate_id = k.aggregate_id
              FOR UPDATE) AS v
    """
)
# Every row exists and is held by now: the conflict is the look-up by key.
_SET_VERSIONS = text(
    """
    INSERT INTO index_versions (projection, tenant_id, aggregate_id, version, is_deleted)
    SELECT :projection, tenant_id, aggregate_id, version, is_deleted
      FROM json_to_recordset(CAST(:versions AS json))
           AS n (tenant_id uuid, aggregate_id uuid, version bigint, is_deleted boolean)
        ON CONFLICT (projection, tenant_id, aggregate_id)
        DO UPDATE SET version = excluded.version, is_deleted = excluded.is_deleted
    """
)


class ProjectionHandler:
    """The consumer of one projection: an event means "look at this aggregate again"."""

    def __init__(self, projection: Projection) -> None:
        self.name = projection.name
        self.subscribes = projection.subscribes
        self._projection = projection

    async def handle(self, transaction: AsyncConnection, events: Sequence[LoggedEvent]) -> None:
        seen = {event.envelope.key: event.envelope.aggregate_version for event in events}
        await project(transaction, self._projection, seen)


async def project(connection: AsyncConnection, projection: Projection, seen: Mapping[AggregateKey, int]) -> None:
    """Bring the documents of these aggregates up to their sources, which are at the *seen* version or later.

    A source that is gone leaves a tombstone at the seen version. Aggregates already there are left alone.

    Raises:
        AggregatesFailed: some documents could not be built; nothing was written.

    """
    known = await _lock(connection, projection.name, seen)
    behind = {key: version for key, version in seen.items() if version > known[key]}
    failures: dict[AggregateKey, Exception] = {}
    for keys in _chunks(behind, projection.chunk):
        failures |= await _project_chunk(connection, projection, {key: behind[key] for key in keys}, known)
    if failures:
        raise AggregatesFailed(failures)


async def _project_chunk(
    connection: AsyncConnection,
    projection: Projection,
    behind: Mapping[AggregateKey, int],
    known: Mapping[AggregateKey, int],
) -> Mapping[AggregateKey, Exception]:
    """Bring some aggregates up to their sources; return those whose documents could not be built."""
    sources = await projection.load(connection, behind)
    documents: list[dict[str, Any]] = []
    failures: dict[AggregateKey, Exception] = {}
    for key, source in sources.items():
        try:
            built = projection.build(source)
        except Exception as error:  # noqa: BLE001 - whatever it is, it is this aggregate's
            failures[key] = error
            continue
        documents += ({**key._asdict(), "source_version": source.version, **d} for d in built)
    if not failures:
        versions = {key: sources[key].version if key in sources else seen for key, seen in behind.items()}
        rows = [{**key._asdict(), "version": v, "is_deleted": key not in sources} for key, v in versions.items()]
        changed = [row for key, row in zip(versions, rows, strict=True) if known[key]]
        await _write(connection, projection, documents, rows, changed)
    return failures


def _chunks(keys: Iterable[AggregateKey], size: int) -> Iterator[list[AggregateKey]]:
    rest = iter(keys)
    while chunk := list(islice(rest, size)):
        yield chunk


async def _lock(connection: AsyncConnection, projection: str, keys: Iterable[AggregateKey]) -> dict[AggregateKey, int]:
    """Hold the aggregates' rows in `index_versions` and return the version each is at; 0 for a new one."""
    wanted = list(keys)
    known = await _held(connection, _CREATE_VERSIONS, projection, wanted)
    existing = [key for key in wanted if key not in known]
    if existing:
        known |= await _held(connection, _LOCK_VERSIONS, projection, existing)
    return known


async def _held(
    connection: AsyncConnection, statement: TextClause, projection: str, keys: Iterable[AggregateKey]
) -> dict[AggregateKey, int]:
    values = {"projection": projection, "keys": to_json([key._asdict() for key in keys])}
    rows = await connection.execute(statement, values)
    return {AggregateKey(row.tenant_id, row.aggregate_id): row.version for row in rows}


async def _write(
    connection: AsyncConnection,
    projection: Projection,
    documents: Sequence[Mapping[str, Any]],
    versions: Sequence[Mapping[str, Any]],
    changed: Sequence[Mapping[str, Any]],
) -> None:
    """Write documents and versions; *changed* are those of aggregates that may have documents of older versions."""
    table = TABLES[projection.table]
    if documents:
        await connection.execute(table.upsert, {"documents": to_json(documents)})
    if changed:
        await connection.execute(table.delete_other_versions, {"versions": to_json(changed)})
    await connection.execute(_SET_VERSIONS, {"projection": projection.name, "versions": to_json(versions)})
