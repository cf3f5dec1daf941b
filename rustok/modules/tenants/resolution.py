"""Which tenant is meant by a name or a host, before anything else is known of a request."""

import re
from dataclasses import dataclass
from typing import NamedTuple
from uuid import UUID

from sqlalchemy.ext.asyncio import AsyncEngine

from rustok.db.failures import translated_failures
from rustok.modules.tenants import repository
from rustok.modules.tenants.schemas import SLUG_PATTERN, id_of_tenant

_SLUG = re.compile(SLUG_PATTERN)
_LONGEST_SLUG, _LONGEST_DOMAIN = 63, 253


class TenantKey(NamedTuple):
    """By what a tenant is found: one of the three."""

    id: UUID | None = None
    slug: str | None = None
    domain: str | None = None


@dataclass(frozen=True, slots=True)
class ResolvedTenant:
    """`has_storefront`: visitors may read what it has published."""

    id: UUID
    slug: str
    has_storefront: bool
    authz_version: int
    modules_off: frozenset[str]
    request_quota: str | None


def key_of_reference(reference: str) -> TenantKey | None:
    """Return the key that a slug or an id is; None for what is neither."""
    if tenant_id := id_of_tenant(reference):
        return TenantKey(id=tenant_id)
    return TenantKey(slug=reference) if _is_slug(reference) else None


def key_of_host(host: str, base_domain: str | None) -> TenantKey | None:
    """Return the key of *host*, in lower case and without port; None where no tenant's can be.

    Below *base_domain* it is a slug, else a domain.
    """
    if len(host) > _LONGEST_DOMAIN or "." not in host:
        return None
    if base_domain is not None and host.endswith(f".{base_domain}"):
        label = host.removesuffix(f".{base_domain}")
        return TenantKey(slug=label) if _is_slug(label) else None
    return TenantKey(domain=host)


async def resolve_tenant(engine: AsyncEngine, key: TenantKey) -> ResolvedTenant | None:
    """Look up which tenant *key* is of."""
    with translated_failures():
        row = await repository.resolve_tenant(engine, *key)
    return None if row is None else ResolvedTenant(**{**row._mapping, "modules_off": frozenset(row.modules_off)})


def _is_slug(text: str) -> bool:
    return len(text) <= _LONGEST_SLUG and _SLUG.fullmatch(text) is not None
