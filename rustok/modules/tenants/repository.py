"""The SQL of the tenants module."""

from collections.abc import Collection, Sequence
from typing import Any
from uuid import UUID

from sqlalchemy import Row, text
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from rustok.db.transaction import Transaction
from rustok.db.unit_of_work import UnitOfWork

_COLUMNS = "id, slug, name, default_locale, default_currency, is_active, request_quota, version"

_INSERT = text(
    """
    INSERT INTO tenants (id, slug, name, default_locale, default_currency, version, created_at, updated_at)
    VALUES (:id, :slug, :name, :default_locale, :default_currency, :version, :now, :now)
    """
)
_FIND = text(f"SELECT {_COLUMNS} FROM tenants WHERE slug = :reference OR CAST(id AS text) = :reference")
_LOCK = text(f"SELECT {_COLUMNS} FROM tenants WHERE id = :tenant_id FOR NO KEY UPDATE")
_SET_REQUEST_QUOTA = text(
    """
    UPDATE tenants SET request_quota = :request_quota, version = :version, updated_at = :now,
                       authz_version = authz_version + 1
     WHERE id = :tenant_id
    """
)
_LIST = text(f"SELECT {_COLUMNS} FROM tenants ORDER BY slug")
_MODULES_OFF = text("SELECT modules_off(CAST(:tenant_id AS uuid))")
_READ = text("SELECT version, modules_off(id) AS modules_off FROM tenants WHERE id = :tenant_id")
_SET_RULES = text(
    """
    UPDATE tenants SET version = :version, authz_version = authz_version + 1, updated_at = :now WHERE id = :tenant_id
    """
)
_BEGIN_ABSENCE = text(
    """
    INSERT INTO module_absences (tenant_id, module, off_at, off_by, held_kinds)
    VALUES (:tenant_id, :module, :now, :off_by, CAST(:held_kinds AS text[]))
    """
)
_END_ABSENCE = text(
    """
    UPDATE module_absences SET on_at = greatest(off_at, :now)
     WHERE tenant_id = :tenant_id AND module = :module AND on_at IS NULL
    """
)
_ABSENCES = text(
    """
    SELECT tenant_id, off_at, on_at FROM module_absences
     WHERE module = :module AND tenant_id = ANY (CAST(:tenant_ids AS uuid[]))
    """
)


async def read_modules_off(uow: UnitOfWork) -> Row[Any]:
    """Return the tenant's version and the names of its modules that are off."""
    return (await uow.execute(_READ, {"tenant_id": uow.tenant_id})).one()


async def set_rules_version(uow: UnitOfWork, version: int) -> None:
    """Set the tenant's version, and make every process read its access rules again, from its next request on."""
    await uow.execute(_SET_RULES, {"tenant_id": uow.tenant_id, "version": version, "now": uow.now})


async def begin_absence(uow: UnitOfWork, module: str, held_kinds: Sequence[str]) -> None:
    values = {"module": module, "off_by": uow.context.principal.actor, "held_kinds": list(held_kinds)}
    await uow.execute(_BEGIN_ABSENCE, {"tenant_id": uow.tenant_id, "now": uow.now, **values})


async def end_absence(uow: UnitOfWork, module: str) -> None:
    await uow.execute(_END_ABSENCE, {"tenant_id": uow.tenant_id, "module": module, "now": uow.now})


async def find_absences(transaction: Transaction, module: str, tenant_ids: Collection[UUID]) -> Sequence[Row[Any]]:
    """Return when *module* was off, and is, for each of the tenants."""
    return (await transaction.execute(_ABSENCES, {"module": module, "tenant_ids": list(tenant_ids)})).all()


async def insert_tenant(uow: UnitOfWork, values: dict[str, Any]) -> None:
    await uow.execute(_INSERT, values)


async def lock_tenant(uow: UnitOfWork) -> Row[Any]:
    """Return the tenant that the unit of work is bound to, and hold it."""
    row = (await uow.execute(_LOCK, {"tenant_id": uow.tenant_id})).one()
    uow.hold("tenant", row.id, row.version)
    return row


async def set_request_quota(uow: UnitOfWork, values: dict[str, Any]) -> None:
    """Store a quota. It rides with what processes remember of keys, so they read those again, as after a revocation."""
    await uow.execute(_SET_REQUEST_QUOTA, {"tenant_id": uow.tenant_id, "now": uow.now, **values})


async def find_tenant(connection: AsyncConnection, reference: str) -> Row[Any] | None:
    return (await connection.execute(_FIND, {"reference": reference})).one_or_none()


async def list_tenants(connection: AsyncConnection) -> Sequence[Row[Any]]:
    return (await connection.execute(_LIST)).all()


async def find_modules_off(engine: AsyncEngine, tenant_id: UUID) -> frozenset[str]:
    async with engine.connect() as connection:
        return frozenset((await connection.execute(_MODULES_OFF, {"tenant_id": tenant_id})).scalar_one())
