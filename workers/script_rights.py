"""What a script is and may do now: its version, its grants, and these as far as its owner still has the rights.

It is read once and kept. What has changed since announces itself: each unit of work compares `authz_version` and
`scripts_version`, and raises `StaleAuthorization`. Whoever hears that asks with *fresh*, and runs the script again:
nothing was done yet.
"""

from collections.abc import Iterable
from typing import Any
from uuid import UUID

from sqlalchemy.ext.asyncio import AsyncEngine

from rustok.db.unit_of_work import UnitOfWorkFactory
from rustok.jobs import Leased
from rustok.kernel.context import Context, Principal
from rustok.kernel.permission import Permission
from rustok.modules.access import Rights, rights_of
from rustok.modules.alloy import load_script
from rustok.scripting import script_principal
from workers.recent import Recent

_KEPT = 10_000


class Scripts:
    """Only active ones are kept: of another nobody would hear that it has become active."""

    def __init__(self, engine: AsyncEngine) -> None:
        self._engine = engine
        self._kept = Recent[tuple[UUID, UUID], Any](_KEPT)

    async def find(self, job: Leased, *, fresh: bool = False) -> Any | None:
        """Return the row of `load_script` for the script that *job* runs; None if it was deleted."""
        key = (job.tenant_id, UUID(job.args["script_id"]))
        script = self._kept.find(key)
        if script is not None and not fresh:
            return script
        script = await load_script(self._engine, *key)
        if script is None or script.status != "active":
            self._kept.pop(key, None)
            return script
        return self._kept.keep(key, script)


class ScriptRights:
    def __init__(self, units: UnitOfWorkFactory, permissions: Iterable[Permission]) -> None:
        self._units = units
        self._permissions = tuple(permissions)
        self._kept = Recent[tuple[UUID, str], Rights](_KEPT)

    async def context(self, job: Leased, script: Any, *, fresh: bool = False) -> Context:
        """Return the circumstances of a run: the script acts, and the run is the cause of what it does."""
        rights = None if fresh else self._kept.find((job.tenant_id, script.owner))
        if rights is None or rights.expires_at is not None:
            async with self._units.begin(platform_context(job), read_only=True) as uow:
                rights = await rights_of(uow, script.owner, self._permissions)
            self._kept.keep((job.tenant_id, script.owner), rights)
        return Context(
            tenant_id=job.tenant_id,
            principal=script_principal(script.id, script.grants, rights, script.scripts_version),
            correlation_id=job.correlation_id,
            causation_id=job.id,
            traceparent=job.traceparent,
        )


def platform_context(job: Leased, scripts_version: int | None = None) -> Context:
    """Return the circumstances of what the platform itself does for a job, on behalf of whoever asked for it.

    With *scripts_version* it is done only while that is the tenant's.
    """
    kind, _, identifier = job.actor.partition(":")
    return Context(
        tenant_id=job.tenant_id,
        principal=Principal(kind, identifier, frozenset(), scripts_version=scripts_version),
        correlation_id=job.correlation_id,
        causation_id=job.id,
        traceparent=job.traceparent,
    )
