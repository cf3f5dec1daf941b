"""What somebody may do now who acted before: rights outlive neither a revoked key nor a changed role."""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from rustok.db.unit_of_work import UnitOfWork
from rustok.kernel.permission import Permission
from rustok.modules.access import repository
from rustok.modules.access.roles import permissions_of

_OPERATOR_ROLE = "owner"
"""What an operator may do for a tenant: all that anybody of the tenant may."""


@dataclass(frozen=True, slots=True)
class Rights:
    """They hold until `expires_at`, and while the tenant's `authz_version` is this one."""

    permissions: frozenset[str]
    authz_version: int
    expires_at: datetime | None
    modules_off: frozenset[str]


async def rights_of(uow: UnitOfWork, actor: str, known: Iterable[Permission]) -> Rights:
    """Return the rights of *actor*, as events name it, in the tenant of *uow*; none where its key does not hold."""
    kind, _, identifier = actor.partition(":")
    row = await repository.find_rights(uow, UUID(identifier) if kind == "apikey" else None)
    role = row.role if kind == "apikey" else _OPERATOR_ROLE
    holds = role is not None and (row.expires_at is None or row.expires_at > uow.now)
    permissions = permissions_of(role, known) if holds else frozenset()
    return Rights(permissions, row.authz_version, row.expires_at, frozenset(row.modules_off))
