"""Inputs and results of the tenants module."""

from collections.abc import Sequence
from typing import Annotated, ClassVar
from uuid import UUID

from pydantic import AfterValidator, StringConstraints

from rustok.kernel.domain import Domain
from rustok.kernel.fields import Currency, Locale, QuotaText
from rustok.kernel.module import Input, ModuleKind, QueryInput, Result

SLUG_PATTERN = r"^[a-z0-9]+(-[a-z0-9]+)*$"
RESERVED_SLUGS = frozenset({"admin", "api", "app", "console", "health", "metrics", "rustok", "system", "www"})
"""Names that a host or a path of the platform itself uses."""


def id_of_tenant(reference: str) -> UUID | None:
    """Return the id that *reference* is, in its usual form; None where it can be a slug."""
    try:
        tenant_id = UUID(reference)
    except ValueError:
        return None
    return tenant_id if str(tenant_id) == reference.lower() else None


def _names_one_tenant(slug: str) -> str:
    if slug in RESERVED_SLUGS:
        raise ValueError("is reserved by the platform")
    if id_of_tenant(slug):
        raise ValueError("must not have the form of an id")
    return slug


TenantSlug = Annotated[
    str,
    StringConstraints(pattern=SLUG_PATTERN, min_length=2, max_length=63),
    AfterValidator(_names_one_tenant),
]
"""A DNS label, since it may become a host name."""


class CreateTenant(Input):
    slug: TenantSlug
    name: Annotated[str, StringConstraints(min_length=1, max_length=255)]
    default_locale: Locale = "en"
    default_currency: Currency = "EUR"


class SetRequestQuota(Input):
    """Null: the quota that the platform gives every tenant."""

    request_quota: QuotaText | None


class OfTenant(Input):
    """What is done about the tenant of the context as a whole."""


class DomainOfTenant(Input):
    domain: Domain


class Tenant(Result):
    id: UUID
    slug: str
    name: str
    default_locale: str
    default_currency: str
    is_active: bool = True
    has_storefront: bool = False
    request_quota: str | None = None
    domains: list[str] = []
    is_being_erased: bool = False
    version: int


class SwitchModule(Input):
    example: ClassVar = {"module": "blog", "is_enabled": True}

    module: Annotated[str, StringConstraints(min_length=1, max_length=63)]
    is_enabled: bool


class ListModules(QueryInput):
    pass


class TenantModule(Result):
    """A module as the tenant has it. `depends_on`: those that must be on while it is."""

    name: str
    kind: ModuleKind
    summary: str
    depends_on: tuple[str, ...]
    may_be_disabled: bool
    is_enabled: bool


class TenantModules(Result):
    """Every module of the platform, in the order of their dependencies; `version` is the tenant's."""

    data: Sequence[TenantModule]
    version: int
