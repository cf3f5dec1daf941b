"""The rules of a tenant's own roles. Nobody makes, changes or removes one that allows what they may not do."""

from collections.abc import Iterable
from typing import Any

from sqlalchemy import Row

from rustok.db.failures import conflicts_named
from rustok.db.unit_of_work import UnitOfWork
from rustok.kernel.errors import InvalidInput, Violation
from rustok.kernel.merge_patch import changed_fields
from rustok.kernel.permission import expand
from rustok.modules.access import events, schemas
from rustok.modules.access import role_repository as repository
from rustok.modules.access.errors import BuiltInRole, DuplicateRole, RoleInUse, RoleNotFound, TooManyRoles
from rustok.modules.access.rights import grants_of_roles, require_cover, require_roles, roles_of
from rustok.modules.access.roles import BUILT_IN_ROLES, Grants, check_lineage
from rustok.modules.access.rules import change_rules
from rustok.modules.access.schemas import Role

_MOST = 200
_TAKEN = "The tenant has a role of this name: choose another."
_CONFLICTS = {"roles_name_key": (DuplicateRole, _TAKEN)}


async def create_role(uow: UnitOfWork, data: schemas.CreateRole) -> Role:
    """Create a role of the tenant's own; its patterns stand for the permissions that there are now."""
    if data.name in BUILT_IN_ROLES:
        raise DuplicateRole(_TAKEN)
    rules_version = await change_rules(uow)
    if len(await repository.parents_of_roles(uow)) >= _MOST:
        raise TooManyRoles(f"The tenant has {_MOST} roles: delete one first.")
    fields = await _checked(uow, data.name, data.model_dump(exclude={"name"}))
    role_id = uow.new_id()
    # Each change of a role changes the rules: their version is ahead of that of any role, also of one that was deleted.
    uow.hold("role", role_id, version=0, first_version=rules_version)
    version = uow.emit(_event(events.RoleCreated, data.name, fields), role_id)
    with conflicts_named(_CONFLICTS):
        await repository.insert_role(uow, {"id": role_id, "name": data.name, "version": version, **fields})
    return await _role(uow, data.name)


async def update_role(uow: UnitOfWork, data: schemas.UpdateRole) -> Role:
    """Change what a role allows, from the next request on; without any field, nothing happens."""
    row = await _lock(uow, data.role)
    stored = {name: getattr(row, name) for name in schemas.RoleFields.model_fields}
    values = changed_fields(schemas.RoleFields, stored, data)
    if values:
        fields = await _checked(uow, data.role, {**stored, **values})
        version = uow.emit(_event(events.RoleUpdated, data.role, fields), row.id)
        await repository.update_role(uow, {"id": row.id, "version": version, **fields})
    return await _role(uow, data.role)


async def delete_role(uow: UnitOfWork, data: schemas.RoleReference) -> schemas.DeletedRole:
    """Delete a role that nobody has and from which none descends."""
    row = await _lock(uow, data.role)
    holders = await repository.find_holders(uow, data.role)
    if holders.child is not None:
        raise RoleInUse(f"The role {holders.child!r} descends from {data.role!r}: change that one first.")
    if holders.is_held:
        raise RoleInUse(f"Somebody has the role {data.role!r}: give them others first.")
    version = uow.emit(events.RoleDeleted(name=data.role), row.id)
    await repository.delete_role(uow, row.id)
    return schemas.DeletedRole(name=data.role, version=version)


async def get_role(uow: UnitOfWork, data: schemas.GetRole) -> Role:
    return await _role(uow, data.role)


async def list_roles(uow: UnitOfWork, _data: schemas.ListRoles) -> schemas.RoleList:
    rows = {row.name: row for row in await repository.list_roles(uow)}
    names = sorted([*rows, *BUILT_IN_ROLES])
    return schemas.RoleList(data=[await _described(uow, name, rows.get(name)) for name in names])


async def _lock(uow: UnitOfWork, name: str) -> Row[Any]:
    """Return the row of a role; while the rules are held nobody else changes it."""
    await change_rules(uow)
    row = await repository.find_role(uow, name)
    if row is None:
        raise BuiltInRole(name) if name in BUILT_IN_ROLES else RoleNotFound("There is no such role.")
    uow.hold("role", row.id, row.version)
    require_cover(uow, await grants_of_roles(uow, [name]), "the role")
    return row


async def _checked(uow: UnitOfWork, name: str, fields: dict[str, Any]) -> dict[str, Any]:
    """Return the columns of a role with these fields. Raises what keeps the caller from saving it."""
    await require_roles(uow, fields["parents"], "/parents")
    check_lineage({**await repository.parents_of_roles(uow), name: fields["parents"]})
    inherited = await grants_of_roles(uow, fields["parents"])
    granted = Grants(_expanded(uow, fields, "grants"), _ownable(uow, fields))
    require_cover(uow, Grants(inherited.permissions | granted.permissions, inherited.own | granted.own), "the role")
    return {**fields, "permissions": sorted(granted.permissions), "own_permissions": sorted(granted.own)}


def _expanded(uow: UnitOfWork, fields: dict[str, Any], field: str) -> frozenset[str]:
    patterns: Iterable[str] = fields[field]
    found = {pattern: roles_of(uow).expand([pattern]) for pattern in patterns}
    faults = [
        Violation(f"/{field}/{place}", "unknown_permission", "stands for no permission that a role may have")
        for place, permissions in enumerate(found.values())
        if not permissions
    ]
    if faults:
        raise InvalidInput("A role grants permissions that there are.", faults)
    return frozenset().union(*found.values())


def _ownable(uow: UnitOfWork, fields: dict[str, Any]) -> frozenset[str]:
    """Return what `own_grants` stand for, but for what is not about things that somebody has made."""
    wanted = _expanded(uow, fields, "own_grants")
    ownable = frozenset(name for name in wanted if uow.registry.permissions[name].may_be_own)
    faults = [
        Violation(f"/own_grants/{place}", "not_ownable", "stands for nothing that is about what somebody has made")
        for place, pattern in enumerate(fields["own_grants"])
        if not expand([pattern], ownable)
    ]
    if faults:
        raise InvalidInput("A permission cannot be granted for one's own alone.", faults)
    return ownable


async def _role(uow: UnitOfWork, name: str) -> Role:
    row = await repository.find_role(uow, name)
    if row is None and name not in BUILT_IN_ROLES:
        raise RoleNotFound("There is no such role.")
    return await _described(uow, name, row)


async def _described(uow: UnitOfWork, name: str, row: Row[Any] | None) -> Role:
    grants = await grants_of_roles(uow, [name])
    allowed = {"permissions": sorted(grants.permissions), "own_permissions": sorted(grants.own)}
    if row is None:
        patterns = list(BUILT_IN_ROLES[name])
        return Role(name=name, version=None, summary="Built in", parents=[], grants=patterns, own_grants=[], **allowed)
    return Role(**{**row._mapping, **allowed})


def _event(kind: type[events.RoleCreated], name: str, fields: dict[str, Any]) -> events.RoleCreated:
    return kind(
        name=name,
        parents=sorted(fields["parents"]),
        permissions=fields["permissions"],
        own=fields["own_permissions"],
    )
