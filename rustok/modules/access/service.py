"""The rules of API keys: what one may do, its scopes, is bounded by what its principal may do at that moment."""

from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from sqlalchemy import Row

from rustok.db.unit_of_work import UnitOfWork
from rustok.kernel.errors import InvalidInput, Violation
from rustok.modules.access import errors, events, repository, schemas
from rustok.modules.access.api_key import new_api_key
from rustok.modules.access.principal_repository import find_principal
from rustok.modules.access.principals import create_service_principal
from rustok.modules.access.rights import bounded_scopes, grants_of_roles, require_cover_of, require_end, roles_of
from rustok.modules.access.rules import change_rules, keep_rules
from rustok.modules.access.schemas import ApiKeyInfo, CreatedApiKey

MAKE_PRINCIPALS = "access.service_principals.write"
"""Wanted for a key whose principal is made with it, beside the permission to create keys."""


async def create_api_key(uow: UnitOfWork, data: schemas.CreateApiKey) -> CreatedApiKey:
    """Create a key and return its token, which is kept nowhere."""
    _require_future(uow, data.expires_at)
    require_end(uow, data.expires_at)
    if data.principal_id is None:
        uow.context.require(MAKE_PRINCIPALS)
        service = schemas.CreateServicePrincipal(name=data.name, roles=[str(data.role)])
        principal_id = (await create_service_principal(uow, service)).id
    else:
        await keep_rules(uow)
        principal_id = data.principal_id
    wanted = None if data.scopes is None else _expanded(uow, data.scopes)
    await _require_cover(uow, principal_id, wanted)
    scopes = bounded_scopes(uow, principal_id, wanted)
    fields = {"name": data.name, "principal_id": principal_id, "scopes": scopes, "expires_at": data.expires_at}
    return await _create(uow, data.environment, fields)


async def rotate_api_key(uow: UnitOfWork, data: schemas.RotateApiKey) -> CreatedApiKey:
    """Create the successor of a key, which works on for a while, but not longer than it would have.

    What is done later in the name of the old key, as a script that it has installed does, has the successor's rights.
    """
    await change_rules(uow)
    row = await _lock(uow, data.key_id)
    if row.revoked_at is not None or (row.expires_at is not None and row.expires_at <= uow.now):
        raise errors.ApiKeyEnded("The key is revoked or has expired: create another.")
    if row.successor is not None:
        raise errors.ApiKeyRotated(
            f"The key has a successor already: rotate {row.successor}, or create another where that one has ended."
        )
    await _require_cover(uow, row.principal_id, row.scopes)
    require_end(uow, row.expires_at)
    expires_at = uow.now + timedelta(seconds=data.overlap_s)
    if row.expires_at is not None:
        expires_at = min(expires_at, row.expires_at)
    fields = {name: row._mapping[name] for name in ("name", "principal_id", "expires_at")}
    fields["scopes"] = bounded_scopes(uow, row.principal_id, row.scopes)
    successor = await _create(uow, data.environment, fields)
    event = events.ApiKeyRotated(key_id=row.key_id, successor=successor.key_id, expires_at=expires_at.isoformat())
    version = uow.emit(event, row.id)
    await repository.expire_api_key(uow, {"id": row.id, "expires_at": expires_at, "version": version})
    await repository.succeed_api_key(uow, row.id, successor.id)
    return successor


async def revoke_api_key(uow: UnitOfWork, data: schemas.KeyReference) -> ApiKeyInfo:
    """Revoke a key for good; revoking it again changes nothing."""
    await change_rules(uow)
    row = await _lock(uow, data.key_id)
    if row.revoked_at is not None:
        return ApiKeyInfo(**row._mapping)
    await _require_cover(uow, row.principal_id, row.scopes)
    version = uow.emit(events.ApiKeyRevoked(key_id=row.key_id), row.id)
    await repository.revoke_api_key(uow, {"id": row.id, "version": version})
    return ApiKeyInfo(**{**row._mapping, "revoked_at": uow.now, "version": version})


async def list_api_keys(uow: UnitOfWork, data: schemas.ListApiKeys) -> schemas.ApiKeyPage:
    page = await repository.list_api_keys(uow, data.principal_id, data.after, data.limit)
    return schemas.ApiKeyPage(data=[ApiKeyInfo(**row._mapping) for row in page.rows], page=page.links)


async def get_me(uow: UnitOfWork, _data: schemas.GetMe) -> schemas.WhoAmI:
    """Return who acts, as far as the transaction knows."""
    principal = uow.context.principal
    return schemas.WhoAmI(
        tenant_id=uow.tenant_id,
        actor=principal.actor,
        principal_id=principal.subject,
        permissions=sorted(principal.permissions),
        own_permissions=sorted(principal.own_permissions),
    )


async def _create(uow: UnitOfWork, environment: str, fields: dict[str, Any]) -> CreatedApiKey:
    key = new_api_key(environment)
    row_id = uow.new_id()
    uow.hold("api_key", row_id, version=0)
    event = events.ApiKeyCreated(
        key_id=key.key_id,
        principal_id=str(fields["principal_id"]),
        scopes=fields["scopes"],
        expires_at=fields["expires_at"].isoformat() if fields["expires_at"] else None,
    )
    version = uow.emit(event, row_id)
    values = {**fields, "id": row_id, "key_id": key.key_id, "version": version, "created_at": uow.now}
    secret_hash = uow.secrets.keyed_hash("api-key", key.secret.encode())
    await repository.insert_api_key(uow, {**values, "secret_hash": secret_hash})
    return CreatedApiKey(**values, revoked_at=None, successor=None, token=str(key))


def _require_future(uow: UnitOfWork, expires_at: datetime | None) -> None:
    if expires_at is not None and expires_at <= uow.now:
        fault = Violation("/expires_at", "in_the_past", "must be a moment to come")
        raise InvalidInput("The key would have expired already.", [fault])


async def _lock(uow: UnitOfWork, key_id: str) -> Row[Any]:
    row = await repository.lock_api_key(uow, key_id)
    if row is None:
        raise errors.ApiKeyNotFound("There is no such API key in this tenant.")
    return row


async def _require_cover(uow: UnitOfWork, principal_id: UUID, scopes: list[str] | None) -> None:
    """Return if the caller has all that a key of the principal would have."""
    principal = await find_principal(uow, principal_id)
    if principal is None:
        raise errors.PrincipalNotFound("There is no such user or service principal.")
    grants = await grants_of_roles(uow, principal.roles)
    require_cover_of(uow, principal_id, grants if scopes is None else grants.within(scopes), "the key")


def _expanded(uow: UnitOfWork, patterns: list[str]) -> list[str]:
    """Return the permissions that *patterns* stand for now."""
    found = [roles_of(uow).expand([pattern]) for pattern in patterns]
    faults = [
        Violation(f"/scopes/{place}", "unknown_permission", "stands for no permission that a key may have")
        for place, permissions in enumerate(found)
        if not permissions
    ]
    if faults:
        raise InvalidInput("Scopes are permissions that there are.", faults)
    return sorted(frozenset().union(*found))
