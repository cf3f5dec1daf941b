"""Which tenant a request names, by X-Tenant or by its host."""

from typing import NamedTuple
from uuid import UUID

from sqlalchemy.ext.asyncio import AsyncEngine

from api.single_flight import LookUps
from rustok.kernel.ports import Clock
from rustok.modules.tenants import ResolvedTenant, TenantKey, key_of_host, key_of_reference, resolve_tenant

_KEPT_S = 300.0
_REFUSED_KEPT_S = 60.0
_MOST = 10_000


class NamedTenant(NamedTuple):
    """`tenant` is None where there is none of this *name*, by whatever header, or where two headers name two."""

    name: str
    tenant: ResolvedTenant | None

    def is_of(self, tenant_id: UUID, slug: str | None) -> bool:
        """Tell whether it is this tenant that is named, by its *slug*, if that is known, whatever is remembered."""
        return self.name == slug or (self.tenant is not None and self.tenant.id == tenant_id)


class TenantDirectory:
    """Remembers what it has found: for five minutes a tenant whose storefront is open, for one that there is none.

    One that was changed since announces itself: the unit of work compares `authz_version`, as it does for keys, and
    raises `StaleAuthorization`; the caller then asks with `fresh`.
    """

    def __init__(self, engine: AsyncEngine, clock: Clock, base_domain: str | None) -> None:
        """*base_domain*: each tenant has the host `<slug>.<base_domain>`."""
        self._engine = engine
        self._base_domain = base_domain
        self._look_up = LookUps(self._look, clock, _kept_s, _MOST)

    async def named_by(self, reference: str | None, host: str, *, fresh: bool = False) -> NamedTenant | None:
        """Return what X-Tenant, if it was sent, and *host* name together; None: nothing.

        The name of a tenant that is none does not depend on which there are; only their domains can be told. With
        *fresh* they are looked up as they are now.
        """
        at_host = await self._at(host, fresh=fresh)
        if reference is None:
            return at_host
        key = key_of_reference(reference)
        name, tenant = _name(key), await self._find(key, fresh=fresh)
        if at_host is None or (at_host.name == name if tenant is None else at_host.is_of(tenant.id, tenant.slug)):
            return NamedTenant(name, tenant)
        return NamedTenant(f"{name} {at_host.name}", None)

    async def is_another_named(
        self, reference: str | None, host: str, tenant_id: UUID, slug: str | None = None
    ) -> bool:
        """Tell whether X-Tenant, if it was sent, and *host* name another tenant than this one, there or not.

        With *slug*, the tenant's own, hosts below the base domain are compared without a query. A domain that was
        taken from a tenant refuses nobody any more.
        """
        at_host = key_of_host(host, self._base_domain)
        if reference is None and slug is not None and at_host is not None and at_host.slug is not None:
            return at_host.slug != slug
        for fresh in (False, True):
            named = await self.named_by(reference, host, fresh=fresh)
            if named is None or named.is_of(tenant_id, slug):
                return False
        return True

    async def _at(self, host: str, *, fresh: bool) -> NamedTenant | None:
        """Return what *host* names, which below the base domain is a tenant, there or not; None: the platform."""
        key = key_of_host(host, self._base_domain)
        tenant = await self._find(key, fresh=fresh)
        is_platforms = tenant is None and (key is None or key.slug is None)
        return None if is_platforms else NamedTenant(_name(key), tenant)

    async def _find(self, key: TenantKey | None, *, fresh: bool) -> ResolvedTenant | None:
        return None if key is None else await self._look_up(key, fresh=fresh)

    async def _look(self, key: TenantKey) -> ResolvedTenant | None:
        return await resolve_tenant(self._engine, key)


def _name(key: TenantKey | None) -> str:
    """Return one text for all spellings of *key*, and one for all that can be no tenant's."""
    return "" if key is None else str(key.id or key.slug or key.domain)


def _kept_s(found: ResolvedTenant | None) -> float:
    return _KEPT_S if found is not None and found.has_storefront else _REFUSED_KEPT_S
