"""Which tenant a request names, by X-Tenant or by its host."""

from typing import NamedTuple

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

    async def named(self, reference: str, *, fresh: bool = False) -> ResolvedTenant | None:
        """Return the tenant with this slug or id."""
        return await self._find(key_of_reference(reference), fresh=fresh)

    async def at(self, host: str, *, fresh: bool = False) -> ResolvedTenant | None:
        """Return the tenant whose host this is; None: it is the platform's own."""
        return await self._find(key_of_host(host, self._base_domain), fresh=fresh)

    async def named_by(self, reference: str | None, host: str) -> NamedTenant | None:
        """Return what X-Tenant, if it was sent, and *host* name together; None: nothing.

        The name of a tenant that is none does not depend on which there are; only their domains can be told.
        """
        at_host = await self.at(host)
        own_key = None if at_host is None and self.slug_at(host) is None else key_of_host(host, self._base_domain)
        if reference is None:
            return None if own_key is None else NamedTenant(_name(own_key), at_host)
        key, tenant = key_of_reference(reference), await self.named(reference)
        if own_key in (None, key):
            return NamedTenant(_name(key), tenant)
        is_one = tenant is not None and at_host is not None and tenant.id == at_host.id
        return NamedTenant(f"{_name(key)} {_name(own_key)}", tenant if is_one else None)

    def slug_at(self, host: str) -> str | None:
        """Return the slug that a host below the base domain has, whether there is such a tenant or not."""
        key = key_of_host(host, self._base_domain)
        return key.slug if key else None

    async def _find(self, key: TenantKey | None, *, fresh: bool) -> ResolvedTenant | None:
        return None if key is None else await self._look_up(key, fresh=fresh)

    async def _look(self, key: TenantKey) -> ResolvedTenant | None:
        return await resolve_tenant(self._engine, key)


def _name(key: TenantKey | None) -> str:
    """Return one text for all spellings of *key*, and one for all that can be no tenant's."""
    return "" if key is None else str(key.id or key.slug or key.domain)


def _kept_s(found: ResolvedTenant | None) -> float:
    return _KEPT_S if found is not None and found.has_storefront else _REFUSED_KEPT_S
