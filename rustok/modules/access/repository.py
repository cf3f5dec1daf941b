"""The SQL of API keys, and of what somebody may do."""

from collections.abc import Iterable
from typing import Any
from uuid import UUID

from sqlalchemy import Row, text
from sqlalchemy.ext.asyncio import AsyncEngine

from rustok.db.pages import Listing, Page
from rustok.db.transaction import run_alone
from rustok.db.unit_of_work import UnitOfWork

_IDENTITY = """
    id, expires_at, revoked_at, tenant_id, tenant_slug, principal_id, principal_kind, is_active, roles, permissions,
    own_permissions, authz_version, modules_off, request_quota
"""
_AUTHENTICATE_API_KEY = text(f"SELECT secret_hash, scopes, {_IDENTITY} FROM authenticate_api_key(:key_id)")
_AUTHENTICATE_SESSION = text(f"SELECT {_IDENTITY} FROM authenticate_session(:tenant_id, :session_id)")
_FIND_API_KEY = text(
    f"""
    SELECT scopes, {_IDENTITY}
      FROM authenticate_api_key((SELECT key_id FROM api_keys WHERE tenant_id = :tenant_id AND id = :id))
    """
)
_ROLES_OF = """
    ARRAY(SELECT h.role FROM principal_roles AS h WHERE h.tenant_id = p.tenant_id AND h.principal_id = p.id)
"""
# Of a principal itself, or of a key: those of the newest that has come of it by rotation.
_RIGHTS = text(
    f"""
    SELECT coalesce(p.is_active, false) AS holds, n.expires_at, n.scopes, r.roles, r.permissions, r.own_permissions,
           t.authz_version, modules_off(t.id) AS modules_off
      FROM tenants AS t
      LEFT JOIN api_keys AS k ON k.tenant_id = t.id AND k.id = CAST(:key_id AS uuid) AND k.revoked_at IS NULL
      LEFT JOIN api_keys AS n
             ON n.tenant_id = t.id AND n.id = coalesce(k.successor_id, k.id) AND n.revoked_at IS NULL
      LEFT JOIN principals AS p
             ON p.tenant_id = t.id AND p.id = coalesce(CAST(:principal_id AS uuid), n.principal_id)
     CROSS JOIN LATERAL rights_of_roles(t.id, {_ROLES_OF}) AS r
     WHERE t.id = :tenant_id
    """
)
_RIGHTS_OF_ROLES = text("SELECT roles, permissions, own_permissions FROM rights_of_roles(:tenant_id, :roles)")
_RAISE_RULES = text(
    "UPDATE tenants SET authz_version = authz_version + 1 WHERE id = :tenant_id RETURNING authz_version"
)
_LOCK_RULES = text("SELECT authz_version, is_active FROM tenants WHERE id = :tenant_id FOR NO KEY UPDATE")
_COLUMNS = """
    id, key_id, name, principal_id, scopes, expires_at, revoked_at, created_at, version,
    (SELECT s.key_id FROM api_keys AS s WHERE s.tenant_id = k.tenant_id AND s.id = k.successor_id) AS successor
"""
_INSERT = text(
    """
    INSERT INTO api_keys (tenant_id, id, key_id, secret_hash, name, principal_id, scopes, expires_at, version,
                          created_at)
    VALUES (:tenant_id, :id, :key_id, :secret_hash, :name, :principal_id, :scopes, :expires_at, :version, :created_at)
    """
)
_LOCK = text(f"SELECT {_COLUMNS} FROM api_keys AS k WHERE tenant_id = :tenant_id AND key_id = :key_id FOR UPDATE OF k")
_REVOKE = text("UPDATE api_keys SET revoked_at = :now, version = :version WHERE tenant_id = :tenant_id AND id = :id")
_EXPIRE = text(
    "UPDATE api_keys SET expires_at = :expires_at, version = :version WHERE tenant_id = :tenant_id AND id = :id"
)
# Those that came before point to the newest at once.
_SUCCEED = text(
    """
    UPDATE api_keys SET successor_id = :successor_id
     WHERE tenant_id = :tenant_id AND (id = :id OR successor_id = :id)
    """
)
_LIST = Listing(
    "access.api_keys",
    f"""
    SELECT {_COLUMNS} FROM api_keys AS k
     WHERE tenant_id = :tenant_id
       AND (CAST(:principal_id AS uuid) IS NULL OR principal_id = CAST(:principal_id AS uuid))
    """,
    key="id",
    key_type="uuid",
    descending=True,
)


async def authenticate_api_key(engine: AsyncEngine, key_id: str) -> Row[Any] | None:
    """Look a key up before its tenant is known: through a function, which returns that key alone."""
    return (await run_alone(engine, _AUTHENTICATE_API_KEY, {"key_id": key_id})).one_or_none()


async def authenticate_session(engine: AsyncEngine, tenant_id: UUID, session_id: UUID) -> Row[Any] | None:
    """Look up the session that a token names, as `authenticate_api_key` does for a key."""
    values = {"tenant_id": tenant_id, "session_id": session_id}
    return (await run_alone(engine, _AUTHENTICATE_SESSION, values)).one_or_none()


async def find_api_key(uow: UnitOfWork, key_id: UUID) -> Row[Any] | None:
    """Look a key up again, by its id."""
    return (await uow.execute(_FIND_API_KEY, {"tenant_id": uow.tenant_id, "id": key_id})).one_or_none()


async def find_session(uow: UnitOfWork, session_id: UUID) -> Row[Any] | None:
    """Look a session up again."""
    values = {"tenant_id": uow.tenant_id, "session_id": session_id}
    return (await uow.execute(_AUTHENTICATE_SESSION, values)).one_or_none()


async def find_rights(uow: UnitOfWork, *, key_id: UUID | None = None, principal_id: UUID | None = None) -> Row[Any]:
    """Return what the newest successor of a key, or a principal, may do, if it `holds`, and the tenant's access rules.

    These are their version and the modules that are off.
    """
    values = {"tenant_id": uow.tenant_id, "key_id": key_id, "principal_id": principal_id}
    return (await uow.execute(_RIGHTS, values)).one()


async def find_rights_of_roles(uow: UnitOfWork, roles: Iterable[str]) -> Row[Any]:
    """Return the names of *roles* and their ancestors, and what those of the tenant's own among them allow."""
    return (await uow.execute(_RIGHTS_OF_ROLES, {"tenant_id": uow.tenant_id, "roles": list(roles)})).one()


async def lock_rules(uow: UnitOfWork) -> Row[Any]:
    """Return the version of the tenant's access rules, once they are held, and whether the tenant is active."""
    return (await uow.execute(_LOCK_RULES, {"tenant_id": uow.tenant_id})).one()


async def raise_rules(uow: UnitOfWork) -> int:
    """Return the new version of the tenant's access rules."""
    return int((await uow.execute(_RAISE_RULES, {"tenant_id": uow.tenant_id})).scalar_one())


async def insert_api_key(uow: UnitOfWork, values: dict[str, Any]) -> None:
    await uow.execute(_INSERT, {"tenant_id": uow.tenant_id, **values})


async def lock_api_key(uow: UnitOfWork, key_id: str) -> Row[Any] | None:
    row = (await uow.execute(_LOCK, {"tenant_id": uow.tenant_id, "key_id": key_id})).one_or_none()
    if row is not None:
        uow.hold("api_key", row.id, row.version)
    return row


async def revoke_api_key(uow: UnitOfWork, values: dict[str, Any]) -> None:
    await uow.execute(_REVOKE, {"tenant_id": uow.tenant_id, "now": uow.now, **values})


async def expire_api_key(uow: UnitOfWork, values: dict[str, Any]) -> None:
    await uow.execute(_EXPIRE, {"tenant_id": uow.tenant_id, **values})


async def succeed_api_key(uow: UnitOfWork, key_id: UUID, successor_id: UUID) -> None:
    """Let what was done by a key, or by one before it, go on by its successor."""
    await uow.execute(_SUCCEED, {"tenant_id": uow.tenant_id, "id": key_id, "successor_id": successor_id})


async def list_api_keys(uow: UnitOfWork, principal_id: UUID | None, cursor: str | None, limit: int) -> Page:
    return await _LIST.page(uow, {"principal_id": principal_id}, cursor, limit)
