"""The SQL of the tenants module."""

from collections.abc import Sequence
from typing import Any

from sqlalchemy import Row, text
from sqlalchemy.ext.asyncio import AsyncConnection

from rustok.db.unit_of_work import UnitOfWork

_COLUMNS = "id, slug, name, default_locale, default_currency, is_active, version"

_INSERT = text(
    """
    INSERT INTO tenants (id, slug, name, default_locale, default_currency, version, created_at, updated_at)
    VALUES (:id, :slug, :name, :default_locale, :default_currency, :version, :now, :now)
    """
)
_FIND = text(f"SELECT {_COLUMNS} FROM tenants WHERE slug = :reference OR CAST(id AS text) = :reference")
_LIST = text(f"SELECT {_COLUMNS} FROM tenants ORDER BY slug")


async def insert_tenant(uow: UnitOfWork, values: dict[str, Any]) -> None:
    await uow.execute(_INSERT, values)


async def find_tenant(connection: AsyncConnection, reference: str) -> Row[Any] | None:
    return (await connection.execute(_FIND, {"reference": reference})).one_or_none()


async def list_tenants(connection: AsyncConnection) -> Sequence[Row[Any]]:
    return (await connection.execute(_LIST)).all()
