"""The rules of tenants. Finding and listing take the system role: they look across tenants."""

from sqlalchemy.ext.asyncio import AsyncEngine

from rustok.db.failures import conflicts_named
from rustok.db.unit_of_work import UnitOfWork
from rustok.kernel.event import Event
from rustok.modules.tenants import events, repository
from rustok.modules.tenants.errors import DomainNotFound, DomainTaken, DuplicateSlug, TenantBeingErased, TenantNotFound
from rustok.modules.tenants.schemas import CreateTenant, DomainOfTenant, OfTenant, SetRequestQuota, Tenant


async def create_tenant(uow: UnitOfWork, data: CreateTenant) -> Tenant:
    """Create the tenant that the unit of work is bound to: its id is the context's."""
    tenant_id = uow.tenant_id
    uow.hold("tenant", tenant_id, version=0)
    version = uow.emit(events.TenantCreated(**data.model_dump(exclude={"name"})), tenant_id)
    with conflicts_named({"tenants_slug_key": (DuplicateSlug, "Another tenant has this slug: choose another.")}):
        values = {**data.model_dump(), "id": tenant_id, "version": version, "now": uow.now}
        await repository.insert_tenant(uow, values)
    return Tenant(**data.model_dump(), id=tenant_id, version=version)


async def disable_tenant(uow: UnitOfWork, _data: OfTenant) -> Tenant:
    """Switch the tenant off: its requests are refused from the next one on, and its jobs wait. Twice is as once."""
    tenant = await _lock(uow)
    if not tenant.is_active:
        return tenant
    return await _change(uow, tenant, events.TenantDisabled(slug=tenant.slug), is_active=False)


async def enable_tenant(uow: UnitOfWork, _data: OfTenant) -> Tenant:
    """Switch the tenant on again: what has waited goes on. Twice is as once."""
    tenant = await _lock(uow)
    if tenant.is_active:
        return tenant
    if tenant.is_being_erased:
        raise TenantBeingErased("The tenant is being erased: nobody can switch it on any more.")
    return await _change(uow, tenant, events.TenantEnabled(slug=tenant.slug), is_active=True)


async def open_storefront(uow: UnitOfWork, _data: OfTenant) -> Tenant:
    """Let visitors read what the tenant has published. Twice is as once."""
    tenant = await _lock(uow)
    if tenant.has_storefront:
        return tenant
    return await _change(uow, tenant, events.StorefrontOpened(slug=tenant.slug), has_storefront=True)


async def close_storefront(uow: UnitOfWork, _data: OfTenant) -> Tenant:
    """Let nobody read it without a credential, from the next request on. Twice is as once."""
    tenant = await _lock(uow)
    if not tenant.has_storefront:
        return tenant
    return await _change(uow, tenant, events.StorefrontClosed(slug=tenant.slug), has_storefront=False)


async def add_domain(uow: UnitOfWork, data: DomainOfTenant) -> Tenant:
    """Give the tenant a domain. Twice is as once."""
    tenant = await _lock(uow)
    if data.domain in tenant.domains:
        return tenant
    taken = "Another tenant has this domain: it has to be removed there first."
    with conflicts_named({"tenant_domains_domain_key": (DomainTaken, taken)}):
        await repository.insert_domain(uow, data.domain)
    domains = sorted([*tenant.domains, data.domain])
    return await _change(uow, tenant, events.DomainAdded(domain=data.domain), domains=domains)


async def remove_domain(uow: UnitOfWork, data: DomainOfTenant) -> Tenant:
    """Take a domain from the tenant, from the next request on."""
    tenant = await _lock(uow)
    if data.domain not in tenant.domains:
        raise DomainNotFound(f"The tenant does not have the domain {data.domain}.")
    await repository.delete_domain(uow, data.domain)
    domains = [domain for domain in tenant.domains if domain != data.domain]
    return await _change(uow, tenant, events.DomainRemoved(domain=data.domain), domains=domains)


async def find_tenant(engine: AsyncEngine, reference: str) -> Tenant:
    """Return the tenant with this slug or id.

    Raises:
        TenantNotFound: there is none.

    """
    row = await repository.find_tenant(engine, reference)
    if row is None:
        raise TenantNotFound(f"There is no tenant {reference!r}: `rustok tenant list` shows those there are.")
    return Tenant(**row._mapping)


async def list_tenants(engine: AsyncEngine) -> list[Tenant]:
    """Return every tenant, by slug."""
    return [Tenant(**row._mapping) for row in await repository.list_tenants(engine)]


async def set_request_quota(uow: UnitOfWork, data: SetRequestQuota) -> Tenant:
    """Give the tenant a quota of its own, or that of all; it holds from its next requests on."""
    tenant = await _lock(uow)
    event = events.RequestQuotaSet(request_quota=data.request_quota)
    return await _change(uow, tenant, event, request_quota=data.request_quota)


async def _lock(uow: UnitOfWork) -> Tenant:
    row = await repository.lock_tenant(uow)
    if row is None:
        raise TenantNotFound("There is no such tenant: `rustok tenant list` shows those there are.")
    return Tenant(**row._mapping)


async def _change(uow: UnitOfWork, tenant: Tenant, event: Event, **changes: object) -> Tenant:
    """Emit *event*, keep the tenant as it is with *changes*, and return it."""
    version = uow.emit(event, tenant.id)
    changed = tenant.model_copy(update={**changes, "version": version})
    await repository.update_tenant(
        uow, changed.model_dump(include={"is_active", "has_storefront", "request_quota", "version"})
    )
    return changed
