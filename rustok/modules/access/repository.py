"""The SQL of the access module."""

from collections.abc import Sequence
from typing import Any
from uuid import UUID

from sqlalchemy import Row, text
from sqlalchemy.ext.asyncio import AsyncEngine

from rustok.db.transaction import run_alone
from rustok.db.unit_of_work import UnitOfWork

_FIND = text(
    """
    SELECT tenant_id, tenant_slug, id, secret_hash, role, expires_at, revoked_at, authz_version,
           modules_off, request_quota
      FROM identify_api_key(:key_id)
    """
)
_COLUMNS = "id, key_id, name, role, expires_at, revoked_at, created_at, version"
_INSERT = text(
    """
    INSERT INTO api_keys (tenant_id, id, key_id, secret_hash, name, role, expires_at, version, created_at)
    VALUES (:tenant_id, :id, :key_id, :secret_hash, :name, :role, :expires_at, :version, :created_at)
    """
)
_LOCK = text(f"SELECT {_COLUMNS} FROM api_keys WHERE tenant_id = :tenant_id AND key_id = :key_id FOR UPDATE")
_REVOKE = text("UPDATE api_keys SET revoked_at = :now, version = :version WHERE tenant_id = :tenant_id AND id = :id")
_BUMP = text("UPDATE tenants SET authz_version = authz_version + 1 WHERE id = :tenant_id")
_LIST = text(f"SELECT {_COLUMNS} FROM api_keys WHERE tenant_id = :tenant_id ORDER BY created_at")
_RIGHTS = text(
    """
    SELECT k.role, k.expires_at, t.authz_version, modules_off(t.id) AS modules_off
      FROM tenants AS t
      LEFT JOIN api_keys AS k ON k.tenant_id = t.id AND k.id = CAST(:id AS uuid) AND k.revoked_at IS NULL
     WHERE t.id = :tenant_id
    """
)


async def find_rights(uow: UnitOfWork, row_id: UUID | None) -> Row[Any]:
    """Return the role and the end of a key that holds, if it does, and the tenant's access rules.

    These are their version and the modules that are off.
    """
    return (await uow.execute(_RIGHTS, {"tenant_id": uow.tenant_id, "id": row_id})).one()


async def find_api_key(engine: AsyncEngine, key_id: str) -> Row[Any] | None:
    """Look a key up before its tenant is known: through a function, which returns that key alone."""
    return (await run_alone(engine, _FIND, {"key_id": key_id})).one_or_none()


async def insert_api_key(uow: UnitOfWork, values: dict[str, Any]) -> None:
    await uow.execute(_INSERT, {"tenant_id": uow.tenant_id, **values})


async def lock_api_key(uow: UnitOfWork, key_id: str) -> Row[Any] | None:
    row = (await uow.execute(_LOCK, {"tenant_id": uow.tenant_id, "key_id": key_id})).one_or_none()
    if row is not None:
        uow.hold("api_key", row.id, row.version)
    return row


async def revoke_api_key(uow: UnitOfWork, values: dict[str, Any]) -> None:
    await uow.execute(_REVOKE, {"tenant_id": uow.tenant_id, "now": uow.now, **values})


async def bump_authz_version(uow: UnitOfWork) -> None:
    """Make every process read the tenant's access rules again, from its next request on."""
    await uow.execute(_BUMP, {"tenant_id": uow.tenant_id})


async def list_api_keys(uow: UnitOfWork) -> Sequence[Row[Any]]:
    return (await uow.execute(_LIST, {"tenant_id": uow.tenant_id})).all()
