"""The rules of users and service principals. Whoever changes one must have all that it may do, before and after."""

from typing import Any, TypeVar
from uuid import UUID

from sqlalchemy import Row

from rustok.db.failures import conflicts_named
from rustok.db.unit_of_work import UnitOfWork
from rustok.kernel.event import Event
from rustok.kernel.merge_patch import changed_fields
from rustok.modules.access import events, schemas
from rustok.modules.access import principal_repository as repository
from rustok.modules.access.attempts import address_key
from rustok.modules.access.errors import DuplicateEmail, PrincipalNotFound
from rustok.modules.access.passwords import PASSWORDS
from rustok.modules.access.principal_repository import AGGREGATES, Kind
from rustok.modules.access.rights import grants_of_roles, require_cover, require_cover_of, require_roles
from rustok.modules.access.rules import change_rules, keep_rules
from rustok.modules.access.schemas import ServicePrincipal, User
from rustok.modules.access.session_repository import forget_attempts
from rustok.modules.access.sessions import close_sessions, replace_password

_Event = TypeVar("_Event", bound=Event)
_Changes = tuple[Kind, type[_Event]]
"""Whom a change is about, and how it is told."""
_Updated = events.UserUpdated | events.ServicePrincipalUpdated
_RolesSet = events.UserRolesSet | events.ServicePrincipalRolesSet
_CONFLICTS = {"principals_email_key": (DuplicateEmail, "Another user has this address: users have one each.")}


async def create_user(uow: UnitOfWork, data: schemas.CreateUser) -> User:
    """Create somebody who may sign in once there is a password, or a provider that knows the address."""
    fields = {"kind": "user", "email": data.email, "name": data.name}
    user_id = await _create(uow, events.UserCreated(roles=sorted(data.roles)), fields, data.roles)
    return User(**(await _find(uow, user_id, "user"))._mapping)


async def create_service_principal(uow: UnitOfWork, data: schemas.CreateServicePrincipal) -> ServicePrincipal:
    """Create a program that acts for the tenant once it has a key."""
    fields = {"kind": "service", "email": None, "name": data.name}
    principal_id = await _create(uow, events.ServicePrincipalCreated(roles=sorted(data.roles)), fields, data.roles)
    return ServicePrincipal(**(await _find(uow, principal_id, "service"))._mapping)


async def update_user(uow: UnitOfWork, data: schemas.UpdateUser) -> User:
    """Change the fields that the patch has; without any, nothing happens."""
    return User(**(await _update(uow, data.user_id, data, ("user", events.UserUpdated)))._mapping)


async def update_service_principal(uow: UnitOfWork, data: schemas.UpdateServicePrincipal) -> ServicePrincipal:
    """Change the fields that the patch has; without any, nothing happens."""
    return ServicePrincipal(
        **(await _update(uow, data.principal_id, data, ("service", events.ServicePrincipalUpdated)))._mapping
    )


async def set_roles_of_user(uow: UnitOfWork, data: schemas.SetRolesOfUser) -> User:
    """Give a user these roles and no others, from the next request on."""
    return User(**(await _set_roles(uow, data.user_id, data.roles, ("user", events.UserRolesSet)))._mapping)


async def set_roles_of_service_principal(uow: UnitOfWork, data: schemas.SetRolesOfServicePrincipal) -> ServicePrincipal:
    """Give a service principal these roles and no others, from the next request on."""
    return ServicePrincipal(
        **(await _set_roles(uow, data.principal_id, data.roles, ("service", events.ServicePrincipalRolesSet)))._mapping
    )


async def delete_user(uow: UnitOfWork, data: schemas.UserReference) -> schemas.DeletedPrincipal:
    """Delete a user, with the sessions and the keys, for good."""
    return await _delete(uow, data.user_id, "user", events.UserDeleted())


async def delete_service_principal(
    uow: UnitOfWork, data: schemas.ServicePrincipalReference
) -> schemas.DeletedPrincipal:
    """Delete a service principal, with its keys, for good."""
    return await _delete(uow, data.principal_id, "service", events.ServicePrincipalDeleted())


async def hash_password(data: schemas.SetPassword) -> schemas.HashedPassword:
    """Hash a password before the transaction begins: it takes a while. Raises TooManyHashes."""
    return schemas.HashedPassword(user_id=data.user_id, password_hash=await PASSWORDS.hash(data.password))


async def set_password(uow: UnitOfWork, data: schemas.HashedPassword) -> User:
    """Give a user a password, and close every session: whoever sets it could act as the user."""
    row = await _lock(uow, data.user_id, "user")
    require_cover_of(uow, row.id, await grants_of_roles(uow, row.roles), "the user")
    await replace_password(uow, row.id, data.password_hash)
    await forget_attempts(uow, address_key(uow.secrets, uow.tenant_id, row.email))
    return User(**(await _find(uow, row.id, "user"))._mapping)


async def sign_out_user(uow: UnitOfWork, data: schemas.UserReference) -> schemas.ClosedSessions:
    """Close every session of a user, from the next request on."""
    row = await _lock(uow, data.user_id, "user")
    return schemas.ClosedSessions(closed=await close_sessions(uow, row.id))


async def get_user(uow: UnitOfWork, data: schemas.GetUser) -> User:
    return User(**(await _find(uow, data.user_id, "user"))._mapping)


async def get_service_principal(uow: UnitOfWork, data: schemas.GetServicePrincipal) -> ServicePrincipal:
    return ServicePrincipal(**(await _find(uow, data.principal_id, "service"))._mapping)


async def list_users(uow: UnitOfWork, data: schemas.ListUsers) -> schemas.UserPage:
    page = await repository.list_principals(uow, "user", data.email, data.after, data.limit)
    return schemas.UserPage(data=[User(**row._mapping) for row in page.rows], page=page.links)


async def list_service_principals(uow: UnitOfWork, data: schemas.ListServicePrincipals) -> schemas.ServicePrincipalPage:
    page = await repository.list_principals(uow, "service", None, data.after, data.limit)
    rows = [ServicePrincipal(**row._mapping) for row in page.rows]
    return schemas.ServicePrincipalPage(data=rows, page=page.links)


async def _create(uow: UnitOfWork, event: Event, fields: dict[str, Any], roles: list[str]) -> UUID:
    await keep_rules(uow)
    await require_roles(uow, roles, "/roles")
    require_cover(uow, await grants_of_roles(uow, roles), "the role")
    principal_id = uow.new_id()
    uow.hold(event.aggregate, principal_id, version=0)
    version = uow.emit(event, principal_id)
    with conflicts_named(_CONFLICTS):
        await repository.insert_principal(uow, {"id": principal_id, "version": version, **fields}, roles)
    return principal_id


async def _update(
    uow: UnitOfWork, principal_id: UUID, patch: schemas.PrincipalPatch, kind: _Changes[_Updated]
) -> Row[Any]:
    row = await _lock(uow, principal_id, kind[0])
    values = changed_fields(schemas.PrincipalFields, row._asdict(), patch)
    if not values:
        return row
    fields = {"name": row.name, "is_active": row.is_active, **values}
    event = kind[1](changed=sorted(values), is_active=fields["is_active"])
    if values.get("is_active") is False:
        await close_sessions(uow, row.id)
    return await _save(uow, row, event, fields)


async def _set_roles(uow: UnitOfWork, principal_id: UUID, roles: list[str], kind: _Changes[_RolesSet]) -> Row[Any]:
    row = await _lock(uow, principal_id, kind[0])
    await require_roles(uow, roles, "/roles")
    require_cover(uow, await grants_of_roles(uow, roles), "the role")
    if sorted(roles) == row.roles:
        return row
    await repository.replace_roles(uow, row.id, roles)
    event = kind[1](roles=sorted(roles))
    return await _save(uow, row, event, {"name": row.name, "is_active": row.is_active})


async def _save(uow: UnitOfWork, row: Row[Any], event: Event, fields: dict[str, Any]) -> Row[Any]:
    version = uow.emit(event, row.id)
    await repository.update_principal(uow, {"id": row.id, "version": version, **fields})
    return await _find(uow, row.id, row.kind)


async def _delete(uow: UnitOfWork, principal_id: UUID, kind: Kind, event: Event) -> schemas.DeletedPrincipal:
    row = await _lock(uow, principal_id, kind)
    version = uow.emit(event, row.id)
    await repository.delete_principal(uow, row.id)
    return schemas.DeletedPrincipal(id=row.id, version=version)


async def _lock(uow: UnitOfWork, principal_id: UUID, kind: Kind) -> Row[Any]:
    await change_rules(uow)
    row = await repository.lock_principal(uow, principal_id, kind)
    if row is None:
        raise _no_principal(kind)
    require_cover(uow, await grants_of_roles(uow, row.roles), f"the {_noun(kind)}")
    return row


async def _find(uow: UnitOfWork, principal_id: UUID, kind: Kind) -> Row[Any]:
    row = await repository.find_principal(uow, principal_id, kind)
    if row is None:
        raise _no_principal(kind)
    return row


def _no_principal(kind: Kind) -> PrincipalNotFound:
    return PrincipalNotFound(f"There is no such {_noun(kind)}.")


def _noun(kind: Kind) -> str:
    return AGGREGATES[kind].replace("_", " ")
