"""The SQL of users and service principals."""

from collections.abc import Sequence
from typing import Any, Literal
from uuid import UUID

from sqlalchemy import Row, text

from rustok.db.pages import Listing, Page
from rustok.db.unit_of_work import UnitOfWork

Kind = Literal["user", "service"]
AGGREGATES: dict[Kind, str] = {"user": "user", "service": "service_principal"}

_COLUMNS = """
    p.id, p.version, p.kind, p.name, p.email, p.is_active, p.password_hash IS NOT NULL AS has_password, p.created_at,
    p.updated_at,
    ARRAY(SELECT h.role FROM principal_roles AS h
           WHERE h.tenant_id = p.tenant_id AND h.principal_id = p.id ORDER BY h.role) AS roles
"""
_INSERT = text(
    """
    INSERT INTO principals (tenant_id, id, kind, name, email, is_active, version, created_at, updated_at)
    VALUES (:tenant_id, :id, :kind, :name, :email, true, :version, :now, :now)
    """
)
_LOCK = text("SELECT id, version FROM principals WHERE tenant_id = :tenant_id AND id = :id AND kind = :kind FOR UPDATE")
_FIND = text(f"SELECT {_COLUMNS} FROM principals AS p WHERE p.tenant_id = :tenant_id AND p.id = :id AND p.kind = :kind")
_FIND_ANY = text(f"SELECT {_COLUMNS} FROM principals AS p WHERE p.tenant_id = :tenant_id AND p.id = :id")
_UPDATE = text(
    """
    UPDATE principals SET name = :name, is_active = :is_active, version = :version, updated_at = :now
     WHERE tenant_id = :tenant_id AND id = :id
    """
)
_DROP_ROLES = text("DELETE FROM principal_roles WHERE tenant_id = :tenant_id AND principal_id = :id")
_ADD_ROLES = text(
    """
    INSERT INTO principal_roles (tenant_id, principal_id, role)
    SELECT CAST(:tenant_id AS uuid), CAST(:id AS uuid), unnest(CAST(:roles AS text[]))
    """
)
_DELETE = text("DELETE FROM principals WHERE tenant_id = :tenant_id AND id = :id")
_LIST = Listing(
    "access.principals",
    f"""
    SELECT {_COLUMNS} FROM principals AS p
     WHERE p.tenant_id = :tenant_id AND p.kind = :kind AND (CAST(:email AS text) IS NULL OR p.email = :email)
    """,
    key="p.id",
    key_type="uuid",
    descending=True,
)


async def insert_principal(uow: UnitOfWork, values: dict[str, Any], roles: Sequence[str]) -> None:
    of_it = {"tenant_id": uow.tenant_id, "id": values["id"]}
    await uow.execute(_INSERT, {**of_it, "now": uow.now, **values})
    await uow.execute(_ADD_ROLES, {**of_it, "roles": list(roles)})


async def lock_principal(uow: UnitOfWork, principal_id: UUID, kind: Kind) -> Row[Any] | None:
    """Lock the row, then read: what was done while it was waited for is seen."""
    values = {"tenant_id": uow.tenant_id, "id": principal_id, "kind": kind}
    row = (await uow.execute(_LOCK, values)).one_or_none()
    if row is None:
        return None
    uow.hold(AGGREGATES[kind], principal_id, row.version)
    return (await uow.execute(_FIND, values)).one()


async def find_principal(uow: UnitOfWork, principal_id: UUID, kind: Kind | None = None) -> Row[Any] | None:
    values = {"tenant_id": uow.tenant_id, "id": principal_id}
    if kind is None:
        return (await uow.execute(_FIND_ANY, values)).one_or_none()
    return (await uow.execute(_FIND, {**values, "kind": kind})).one_or_none()


async def update_principal(uow: UnitOfWork, values: dict[str, Any]) -> None:
    await uow.execute(_UPDATE, {"tenant_id": uow.tenant_id, "now": uow.now, **values})


async def replace_roles(uow: UnitOfWork, principal_id: UUID, roles: Sequence[str]) -> None:
    of_it = {"tenant_id": uow.tenant_id, "id": principal_id}
    await uow.execute(_DROP_ROLES, of_it)
    await uow.execute(_ADD_ROLES, {**of_it, "roles": list(roles)})


async def delete_principal(uow: UnitOfWork, principal_id: UUID) -> None:
    """Delete it, with its roles, its keys and its sessions."""
    await uow.execute(_DELETE, {"tenant_id": uow.tenant_id, "id": principal_id})


async def list_principals(uow: UnitOfWork, kind: Kind, email: str | None, cursor: str | None, limit: int) -> Page:
    return await _LIST.page(uow, {"kind": kind, "email": email}, cursor, limit)
