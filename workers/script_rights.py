"""What a script may do now: its grants, as far as its owner still has them."""

from collections import OrderedDict
from collections.abc import Collection, Iterable
from uuid import UUID

from rustok.db.unit_of_work import UnitOfWorkFactory
from rustok.jobs import Leased
from rustok.kernel.context import Context, Principal
from rustok.kernel.permission import Permission
from rustok.modules.access import Rights, rights_of
from rustok.scripting import script_principal

_KEPT = 10_000


class ScriptRights:
    """Keeps what it found. Rights that have changed since then announce themselves: the unit of work compares
    `authz_version` and raises `StaleAuthorization`; the caller then asks with *fresh*.
    """

    def __init__(self, units: UnitOfWorkFactory, permissions: Iterable[Permission]) -> None:
        self._units = units
        self._permissions = tuple(permissions)
        self._kept: OrderedDict[tuple[UUID, str], Rights] = OrderedDict()

    async def context(
        self, job: Leased, script_id: UUID, owner: str, grants: Collection[str], *, fresh: bool = False
    ) -> Context:
        """Return the circumstances of a run: the script acts, and the run is the cause of what it does."""
        rights = await self._rights(job, owner, fresh=fresh)
        return Context(
            tenant_id=job.tenant_id,
            principal=script_principal(script_id, grants, rights),
            correlation_id=job.correlation_id,
            causation_id=job.id,
            traceparent=job.traceparent,
        )

    async def _rights(self, job: Leased, owner: str, *, fresh: bool) -> Rights:
        key = (job.tenant_id, owner)
        rights = None if fresh else self._kept.pop(key, None)
        if rights is None or rights.expires_at is not None:
            async with self._units.begin(platform_context(job), read_only=True) as uow:
                rights = await rights_of(uow, owner, self._permissions)
        self._kept[key] = rights
        if len(self._kept) > _KEPT:
            self._kept.popitem(last=False)
        return rights


def platform_context(job: Leased) -> Context:
    """Return the circumstances of what the platform itself does for a job, on behalf of whoever asked for it."""
    kind, _, identifier = job.actor.partition(":")
    return Context(
        tenant_id=job.tenant_id,
        principal=Principal(kind, identifier, frozenset()),
        correlation_id=job.correlation_id,
        causation_id=job.id,
        traceparent=job.traceparent,
    )
