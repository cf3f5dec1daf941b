"""The rules of API keys."""

from rustok.db.unit_of_work import UnitOfWork
from rustok.kernel.errors import NotFound
from rustok.modules.access import repository
from rustok.modules.access.api_key import new_api_key
from rustok.modules.access.events import ApiKeyCreated, ApiKeyRevoked
from rustok.modules.access.schemas import ApiKeyInfo, CreateApiKey, CreatedApiKey, RevokeApiKey


class ApiKeyNotFound(NotFound):
    """The tenant has no key with this id."""

    code = "api_key_not_found"


async def create_api_key(uow: UnitOfWork, data: CreateApiKey) -> CreatedApiKey:
    """Create a key and return its token, which is kept nowhere."""
    key = new_api_key(data.environment)
    row_id = uow.new_id()
    uow.hold("api_key", row_id, version=0)
    version = uow.emit(ApiKeyCreated(key_id=key.key_id, role=data.role), row_id)
    values = {
        "id": row_id,
        "key_id": key.key_id,
        "name": data.name,
        "role": data.role,
        "expires_at": data.expires_at,
        "version": version,
        "created_at": uow.now,
    }
    secret_hash = uow.secrets.keyed_hash("api-key", key.secret.encode())
    await repository.insert_api_key(uow, {**values, "secret_hash": secret_hash})
    return CreatedApiKey(**values, revoked_at=None, token=str(key))


async def revoke_api_key(uow: UnitOfWork, data: RevokeApiKey) -> ApiKeyInfo:
    """Revoke a key for good; revoking it again changes nothing."""
    row = await repository.lock_api_key(uow, data.key_id)
    if row is None:
        raise ApiKeyNotFound(f"There is no API key {data.key_id!r} in this tenant.")
    if row.revoked_at is not None:
        return ApiKeyInfo(**row._mapping)
    version = uow.emit(ApiKeyRevoked(key_id=row.key_id), row.id)
    await repository.revoke_api_key(uow, {"id": row.id, "version": version})
    await repository.bump_authz_version(uow)
    return ApiKeyInfo(**{**row._mapping, "revoked_at": uow.now, "version": version})


async def list_api_keys(uow: UnitOfWork) -> list[ApiKeyInfo]:
    """Return the tenant's keys, oldest first, also the revoked ones."""
    return [ApiKeyInfo(**row._mapping) for row in await repository.list_api_keys(uow)]
