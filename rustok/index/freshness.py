"""Whether the index shows what somebody has written, and waiting until it does.

All who wait in a process share one question at a time, whatever they wait for, and hold no connection meanwhile.
"""

import asyncio
from collections.abc import Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple
from uuid import UUID

import structlog
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncEngine

from rustok.db.engine import to_json
from rustok.db.failures import describe
from rustok.db.transaction import run_alone
from rustok.kernel.consistency import Change
from rustok.kernel.event import matches
from rustok.kernel.module import Projection
from rustok.kernel.ports import Clock

log = structlog.get_logger(__name__)

_LOOK_EVERY_S = 0.005
_LOOK_AFTER_A_FAILURE_S = 0.5
_LOOK_TIMEOUT_S = 2.0
_MOST_READERS, _MOST_OF_A_TENANT = 1_000, 200
"""Readers that wait at a time; who comes then is told at once that the index is behind."""
_BEHIND = text("SELECT index_behind(CAST(:wanted AS json)) AS place")


class _Version(NamedTuple):
    projection: str
    tenant_id: UUID
    aggregate_id: UUID
    version: int


@dataclass(slots=True, eq=False)
class _Reader:
    """Somebody who waits for `missing`."""

    tenant_id: UUID
    missing: set[_Version]
    is_looked_for: asyncio.Event = field(default_factory=asyncio.Event)
    """A look has begun after this reader came, and has ended, well or not."""
    is_served: asyncio.Event = field(default_factory=asyncio.Event)


class Freshness:
    """One a process; `run` looks while somebody waits."""

    def __init__(self, engine: AsyncEngine, projections: Iterable[Projection], clock: Clock) -> None:
        self._engine = engine
        self._clock = clock
        self._projections = tuple(projections)
        self._readers: set[_Reader] = set()
        self._has_readers = asyncio.Event()

    async def missing(
        self, table: str, tenant_id: UUID, changes: Collection[Change], patience_s: float
    ) -> frozenset[Change]:
        """Return those of *changes* that *table* does not show yet; wait for them until it shows all.

        After *patience_s* it is told what there is. With a patience of 0 it is looked for once. Events that no
        projection of the table subscribes to are nothing to wait for.
        """
        awaited = {version: change for change in changes for version in self._versions(table, tenant_id, change)}
        reader = _Reader(tenant_id, set(awaited))
        if reader.missing and self._has_room_for(tenant_id):
            self._readers.add(reader)
            self._has_readers.set()
            try:
                async with asyncio.timeout(patience_s or _LOOK_TIMEOUT_S):
                    await (reader.is_served if patience_s else reader.is_looked_for).wait()
            except TimeoutError:
                pass
            finally:
                self._readers.discard(reader)
        return frozenset(awaited[version] for version in reader.missing)

    def _versions(self, table: str, tenant_id: UUID, change: Change) -> Iterator[_Version]:
        for projection in self._projections:
            if projection.table == table and any(matches(p, change.event_type) for p in projection.subscribes):
                yield _Version(projection.name, tenant_id, change.aggregate_id, change.version)

    def _has_room_for(self, tenant_id: UUID) -> bool:
        of_tenant = sum(reader.tenant_id == tenant_id for reader in self._readers)
        return len(self._readers) < _MOST_READERS and of_tenant < _MOST_OF_A_TENANT

    async def run(self) -> None:
        """Look for what readers wait for, until cancelled."""
        while True:
            await self._has_readers.wait()
            await self._clock.sleep(_LOOK_EVERY_S if await self._look() else _LOOK_AFTER_A_FAILURE_S)
            if not self._readers:
                self._has_readers.clear()

    async def _look(self) -> bool:
        """Ask once for all who wait now. A failure is logged: they wait on. Tell whether it went well."""
        readers = list(self._readers)
        wanted = list(set[_Version]().union(*(reader.missing for reader in readers)))
        try:
            behind = await self._behind(wanted)
        except Exception as error:  # noqa: BLE001 - whatever is wrong there, readers are told what they know already
            log.warning("index_not_looked_at", error=describe(error))
            behind = None
        for reader in readers:
            if behind is not None:
                reader.missing &= behind
            reader.is_looked_for.set()
            if not reader.missing:
                reader.is_served.set()
        return behind is not None

    async def _behind(self, wanted: Sequence[_Version]) -> set[_Version]:
        rows: list[dict[str, Any]] = [{"place": place, **one._asdict()} for place, one in enumerate(wanted)]
        found = await run_alone(self._engine, _BEHIND, {"wanted": to_json(rows)})
        return {wanted[row.place] for row in found}
