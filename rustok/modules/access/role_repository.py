"""The SQL of a tenant's own roles."""

from collections.abc import Mapping, Sequence
from typing import Any
from uuid import UUID

from sqlalchemy import Row, text

from rustok.db.unit_of_work import UnitOfWork

_COLUMNS = "id, name, version, summary, parents, grants, own_grants, permissions, own_permissions"
_INSERT = text(
    f"""
    INSERT INTO roles (tenant_id, {_COLUMNS}, created_at, updated_at)
    VALUES (:tenant_id, :id, :name, :version, :summary, :parents, :grants, :own_grants, :permissions,
            :own_permissions, :now, :now)
    """
)
_UPDATE = text(
    """
    UPDATE roles SET version = :version, summary = :summary, parents = :parents, grants = :grants,
                     own_grants = :own_grants, permissions = :permissions, own_permissions = :own_permissions,
                     updated_at = :now
     WHERE tenant_id = :tenant_id AND id = :id
    """
)
_DELETE = text("DELETE FROM roles WHERE tenant_id = :tenant_id AND id = :id")
_FIND = text(f"SELECT {_COLUMNS} FROM roles WHERE tenant_id = :tenant_id AND name = :name")
_LIST = text(f"SELECT {_COLUMNS} FROM roles WHERE tenant_id = :tenant_id ORDER BY name")
_PARENTS = text("SELECT name, parents FROM roles WHERE tenant_id = :tenant_id")
_HOLDERS = text(
    """
    SELECT EXISTS (SELECT FROM principal_roles WHERE tenant_id = :tenant_id AND role = :name) AS is_held,
           (SELECT min(name) FROM roles WHERE tenant_id = :tenant_id AND :name = ANY (parents)) AS child
    """
)


async def insert_role(uow: UnitOfWork, values: Mapping[str, Any]) -> None:
    await uow.execute(_INSERT, {"tenant_id": uow.tenant_id, "now": uow.now, **values})


async def update_role(uow: UnitOfWork, values: Mapping[str, Any]) -> None:
    await uow.execute(_UPDATE, {"tenant_id": uow.tenant_id, "now": uow.now, **values})


async def delete_role(uow: UnitOfWork, role_id: UUID) -> None:
    await uow.execute(_DELETE, {"tenant_id": uow.tenant_id, "id": role_id})


async def find_role(uow: UnitOfWork, name: str) -> Row[Any] | None:
    return (await uow.execute(_FIND, {"tenant_id": uow.tenant_id, "name": name})).one_or_none()


async def list_roles(uow: UnitOfWork) -> Sequence[Row[Any]]:
    return (await uow.execute(_LIST, {"tenant_id": uow.tenant_id})).all()


async def parents_of_roles(uow: UnitOfWork) -> dict[str, list[str]]:
    """Return every role of the tenant with its parents."""
    return {row.name: row.parents for row in await uow.execute(_PARENTS, {"tenant_id": uow.tenant_id})}


async def find_holders(uow: UnitOfWork, name: str) -> Row[Any]:
    """Return whether anybody has the role, and the name of a role that descends from it directly."""
    return (await uow.execute(_HOLDERS, {"tenant_id": uow.tenant_id, "name": name})).one()
