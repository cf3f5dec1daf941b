"""What somebody may do now who acted before, and what somebody may let others do.

Rights outlive neither a revoked key nor a changed role; and nobody gives away what one has not.
"""

from collections.abc import Collection, Iterable
from dataclasses import dataclass
from datetime import datetime
from functools import lru_cache
from uuid import UUID

from rustok.db.unit_of_work import UnitOfWork
from rustok.kernel.errors import Violation
from rustok.kernel.permission import Permission
from rustok.modules.access import repository, role_repository
from rustok.modules.access.errors import RightsExceeded, UnknownRole
from rustok.modules.access.roles import BUILT_IN_ROLES, Grants, Roles

_OPERATOR_ROLE = "owner"
"""What an operator may do for a tenant: all that anybody of the tenant may."""
_BUILT_IN = ", ".join(BUILT_IN_ROLES)
_NAMED = 5
"""Permissions that an error names at most."""


@dataclass(frozen=True, slots=True)
class Rights:
    """They hold until `expires_at`, and while the tenant's `authz_version` is this one."""

    permissions: frozenset[str]
    authz_version: int
    expires_at: datetime | None
    modules_off: frozenset[str]


async def rights_of(uow: UnitOfWork, actor: str, known: Iterable[Permission]) -> Rights:
    """Return the rights of *actor*, as events name it, in the tenant of *uow*; none where its key does not hold.

    A key that was rotated has those of the newest that has come of it, unless it was revoked itself. Who is neither a
    key, nor a user, nor an operator has none. Rights that hold for what one made oneself are not among them.
    """
    kind, _, identifier = actor.partition(":")
    row = await repository.find_rights(
        uow,
        key_id=UUID(identifier) if kind == "apikey" else None,
        principal_id=UUID(identifier) if kind == "user" else None,
    )
    roles = _roles(tuple(known))
    if kind == "operator":
        permissions = roles.built_in(_OPERATOR_ROLE)
    elif row.holds and (row.expires_at is None or row.expires_at > uow.now):
        permissions = roles.grants(row.roles, row.permissions, row.own_permissions).permissions
        permissions = permissions if row.scopes is None else permissions & frozenset(row.scopes)
    else:
        permissions = frozenset()
    return Rights(permissions, row.authz_version, row.expires_at, frozenset(row.modules_off))


def roles_of(uow: UnitOfWork) -> Roles:
    """Return what roles allow on the platform of *uow*."""
    return _roles(tuple(uow.registry.permissions.values()))


async def require_roles(uow: UnitOfWork, names: Collection[str], pointer: str) -> None:
    """Return if there are such roles. Raises UnknownRole, at *pointer*, where the input has the list."""
    known = {*BUILT_IN_ROLES, *await role_repository.parents_of_roles(uow)}
    faults = [
        Violation(f"{pointer}/{place}", UnknownRole.code, f"is no role of this tenant, nor one of {_BUILT_IN}")
        for place, name in enumerate(names)
        if name not in known
    ]
    if faults:
        raise UnknownRole("There is no such role.", faults)


async def grants_of_roles(uow: UnitOfWork, names: Collection[str]) -> Grants:
    """Return what *names* allow together."""
    row = await repository.find_rights_of_roles(uow, names)
    return roles_of(uow).grants(row.roles, row.permissions, row.own_permissions)


def require_cover(uow: UnitOfWork, grants: Grants, what: str) -> None:
    """Return if the caller has all of *grants*, which *what* has, or would get.

    Raises:
        RightsExceeded: the caller has not; the message names some.

    """
    mine = _mine(uow)
    if mine.cover(grants):
        return
    missing = sorted(grants.permissions - mine.permissions) or sorted(grants.own - mine.own)
    raise RightsExceeded(f"You lack what {what} has: {', '.join(missing[:_NAMED])}.")


def require_cover_of(uow: UnitOfWork, principal_id: UUID, grants: Grants, what: str) -> None:
    """Return if the caller may act as the principal with *grants*, who could do no more than the caller.

    The caller may have less than the same principal has elsewhere: by a key with scopes.

    Raises:
        RightsExceeded: the principal could; the message names some of it.

    """
    if principal_id == uow.context.principal.subject:
        require_cover(uow, grants, what)
        return
    mine = _mine(uow)
    if mine.cover_whole(grants):
        return
    missing = sorted((grants.permissions | grants.own) - mine.permissions)
    raise RightsExceeded(f"You lack what {what} has: {', '.join(missing[:_NAMED])}.")


def bounded_scopes(uow: UnitOfWork, principal_id: UUID, scopes: Collection[str] | None) -> list[str] | None:
    """Return the scopes of a key that the caller makes: of another principal's, what the caller may do at most.

    So the key does not grow beyond its maker when that principal gets more roles; nor does one that a key with scopes
    makes for its own principal. None: all that its principal may.
    """
    caller = uow.context.principal
    is_oneself = principal_id == caller.subject
    is_bound = caller.is_scoped or (not is_oneself and not roles_of(uow).built_in("owner") <= caller.permissions)
    if is_bound:
        mine = caller.permissions | caller.own_permissions if is_oneself else caller.permissions
        return sorted(mine if scopes is None else mine & frozenset(scopes))
    return None if scopes is None else sorted(scopes)


def require_end(uow: UnitOfWork, expires_at: datetime | None) -> None:
    """Return if a key that the caller makes, and that ends at *expires_at*, does not outlast the caller's own.

    Raises:
        RightsExceeded: it does.

    """
    end = uow.context.principal.expires_at
    if end is not None and (expires_at is None or expires_at > end):
        raise RightsExceeded(f"Your own key ends at {end.isoformat()}: a key that it makes has to end then, or before.")


def _mine(uow: UnitOfWork) -> Grants:
    principal = uow.context.principal
    return Grants(principal.permissions, principal.own_permissions)


@lru_cache(maxsize=8)
def _roles(known: tuple[Permission, ...]) -> Roles:
    return Roles(known)
