"""The SQL of the tenants module."""

from collections.abc import Collection, Sequence
from typing import Any
from uuid import UUID

from sqlalchemy import Row, text
from sqlalchemy.ext.asyncio import AsyncEngine

from rustok.db.transaction import Transaction, run_alone
from rustok.db.unit_of_work import UnitOfWork

_COLUMNS = """
    id, slug, name, default_locale, default_currency, is_active, has_storefront, request_quota, version,
    ARRAY(SELECT domain FROM tenant_domains WHERE tenant_id = tenants.id ORDER BY domain) AS domains,
    EXISTS (SELECT FROM erased_tenants WHERE id = tenants.id) AS is_being_erased
"""

_INSERT = text(
    """
    INSERT INTO tenants (id, slug, name, default_locale, default_currency, version, created_at, updated_at)
    VALUES (:id, :slug, :name, :default_locale, :default_currency, :version, :now, :now)
    """
)
_FIND = text(f"SELECT {_COLUMNS} FROM tenants WHERE slug = :reference OR CAST(id AS text) = :reference")
_LOCK = text("SELECT id, version FROM tenants WHERE id = :tenant_id FOR NO KEY UPDATE")
_READ = text(f"SELECT {_COLUMNS} FROM tenants WHERE id = :tenant_id")
# With a new authz_version every process reads the tenant again, from its next request on.
_UPDATE = text(
    """
    UPDATE tenants
       SET is_active = :is_active, has_storefront = :has_storefront, request_quota = :request_quota,
           authz_version = authz_version + 1, version = :version, updated_at = :now
     WHERE id = :tenant_id
    """
)
_LIST = text(f"SELECT {_COLUMNS} FROM tenants ORDER BY slug")
_INSERT_DOMAIN = text("INSERT INTO tenant_domains (tenant_id, domain, created_at) VALUES (:tenant_id, :domain, :now)")
_DELETE_DOMAIN = text("DELETE FROM tenant_domains WHERE tenant_id = :tenant_id AND domain = :domain")
_RESOLVE = text(
    """
    SELECT id, slug, has_storefront, authz_version, modules_off, request_quota
      FROM resolve_tenant(:id, :slug, :domain)
    """
)
_MODULES_OFF = text("SELECT modules_off(CAST(:tenant_id AS uuid))")
_READ_MODULES = text("SELECT version, modules_off(id) AS modules_off FROM tenants WHERE id = :tenant_id")
_SET_RULES = text(
    """
    UPDATE tenants SET version = :version, authz_version = authz_version + 1, updated_at = :now WHERE id = :tenant_id
    """
)
_BEGIN_ABSENCE = text(
    """
    INSERT INTO module_absences (tenant_id, module, off_at, off_by, kinds_on)
    VALUES (:tenant_id, :module, clock_timestamp(), :off_by, CAST(:kinds_on AS text[]))
    """
)
_END_ABSENCE = text(
    """
    UPDATE module_absences SET on_at = greatest(off_at, clock_timestamp())
     WHERE tenant_id = :tenant_id AND module = :module AND on_at IS NULL
    """
)
_ABSENCES = text(
    """
    SELECT tenant_id, off_at, on_at FROM module_absences
     WHERE module = :module AND tenant_id = ANY (CAST(:tenant_ids AS uuid[]))
    """
)


async def insert_tenant(uow: UnitOfWork, values: dict[str, Any]) -> None:
    await uow.execute(_INSERT, values)


async def lock_tenant(uow: UnitOfWork) -> Row[Any] | None:
    """Lock the row, then read: what was done while it was waited for is seen."""
    row = (await uow.execute(_LOCK, {"tenant_id": uow.tenant_id})).one_or_none()
    if row is None:
        return None
    uow.hold("tenant", row.id, row.version)
    return (await uow.execute(_READ, {"tenant_id": uow.tenant_id})).one()


async def update_tenant(uow: UnitOfWork, values: dict[str, Any]) -> None:
    uow.rules_raised()
    await uow.execute(_UPDATE, {"tenant_id": uow.tenant_id, "now": uow.now, **values})


async def insert_domain(uow: UnitOfWork, domain: str) -> None:
    await uow.execute(_INSERT_DOMAIN, {"tenant_id": uow.tenant_id, "domain": domain, "now": uow.now})


async def delete_domain(uow: UnitOfWork, domain: str) -> None:
    await uow.execute(_DELETE_DOMAIN, {"tenant_id": uow.tenant_id, "domain": domain})


async def find_tenant(engine: AsyncEngine, reference: str) -> Row[Any] | None:
    return (await run_alone(engine, _FIND, {"reference": reference})).one_or_none()


async def list_tenants(engine: AsyncEngine) -> Sequence[Row[Any]]:
    return (await run_alone(engine, _LIST)).all()


async def resolve_tenant(
    engine: AsyncEngine, tenant_id: UUID | None, slug: str | None, domain: str | None
) -> Row[Any] | None:
    """Find a tenant before it is known which, through a function that returns that one alone."""
    values = {"id": tenant_id, "slug": slug, "domain": domain}
    return (await run_alone(engine, _RESOLVE, values)).one_or_none()


async def read_modules_off(uow: UnitOfWork) -> Row[Any]:
    """Return the tenant's version and the names of its modules that are off."""
    return (await uow.execute(_READ_MODULES, {"tenant_id": uow.tenant_id})).one()


async def set_rules_version(uow: UnitOfWork, version: int) -> None:
    """Set the tenant's version, and make every process read its access rules again, from its next request on."""
    uow.rules_raised()
    await uow.execute(_SET_RULES, {"tenant_id": uow.tenant_id, "version": version, "now": uow.now})


async def begin_absence(uow: UnitOfWork, module: str, kinds_on: Sequence[str]) -> None:
    values = {"module": module, "off_by": uow.context.principal.actor, "kinds_on": list(kinds_on)}
    await uow.execute(_BEGIN_ABSENCE, {"tenant_id": uow.tenant_id, **values})


async def end_absence(uow: UnitOfWork, module: str) -> None:
    await uow.execute(_END_ABSENCE, {"tenant_id": uow.tenant_id, "module": module})


async def find_absences(transaction: Transaction, module: str, tenant_ids: Collection[UUID]) -> Sequence[Row[Any]]:
    """Return when *module* was off, and is, for each of the tenants."""
    return (await transaction.execute(_ABSENCES, {"module": module, "tenant_ids": list(tenant_ids)})).all()


async def find_modules_off(engine: AsyncEngine, tenant_id: UUID) -> frozenset[str]:
    return frozenset((await run_alone(engine, _MODULES_OFF, {"tenant_id": tenant_id})).scalar_one())
