"""The rules of tenants. Finding and listing take the system role: they look across tenants."""

from sqlalchemy.ext.asyncio import AsyncEngine

from rustok.db.failures import conflicts_named
from rustok.db.unit_of_work import UnitOfWork
from rustok.modules.tenants import repository
from rustok.modules.tenants.errors import DuplicateSlug, TenantNotFound
from rustok.modules.tenants.events import RequestQuotaSet, TenantCreated
from rustok.modules.tenants.schemas import CreateTenant, SetRequestQuota, Tenant


async def create_tenant(uow: UnitOfWork, data: CreateTenant) -> Tenant:
    """Create the tenant that the unit of work is bound to: its id is the context's."""
    tenant_id = uow.tenant_id
    uow.hold("tenant", tenant_id, version=0)
    version = uow.emit(TenantCreated(**data.model_dump(exclude={"name"})), tenant_id)
    with conflicts_named({"tenants_slug_key": (DuplicateSlug, "Another tenant has this slug: choose another.")}):
        values = {**data.model_dump(), "id": tenant_id, "version": version, "now": uow.now}
        await repository.insert_tenant(uow, values)
    return Tenant(**data.model_dump(), id=tenant_id, is_active=True, request_quota=None, version=version)


async def set_request_quota(uow: UnitOfWork, data: SetRequestQuota) -> Tenant:
    """Give the tenant a quota of its own, or that of all; it holds from its next requests on."""
    row = await repository.lock_tenant(uow)
    version = uow.emit(RequestQuotaSet(request_quota=data.request_quota), row.id)
    await repository.set_request_quota(uow, {"request_quota": data.request_quota, "version": version})
    return Tenant(**{**row._mapping, "request_quota": data.request_quota, "version": version})


async def find_tenant(engine: AsyncEngine, reference: str) -> Tenant:
    """Return the tenant with this slug or id.

    Raises:
        TenantNotFound: there is none.

    """
    async with engine.connect() as connection:
        row = await repository.find_tenant(connection, reference)
    if row is None:
        raise TenantNotFound(f"There is no tenant {reference!r}: `rustok tenant list` shows those there are.")
    return Tenant(**row._mapping)


async def list_tenants(engine: AsyncEngine) -> list[Tenant]:
    """Return every tenant, by slug."""
    async with engine.connect() as connection:
        return [Tenant(**row._mapping) for row in await repository.list_tenants(connection)]
