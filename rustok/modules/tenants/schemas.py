"""Inputs and results of the tenants module."""

from typing import Annotated
from uuid import UUID

from pydantic import AfterValidator, StringConstraints

from rustok.kernel.fields import Currency, Locale
from rustok.kernel.module import Input, Result

RESERVED_SLUGS = frozenset({"admin", "api", "app", "console", "health", "metrics", "rustok", "system", "www"})
"""Names that a host or a path of the platform itself uses."""


def _not_reserved(slug: str) -> str:
    if slug in RESERVED_SLUGS:
        raise ValueError("is reserved by the platform")
    return slug


TenantSlug = Annotated[
    str,
    StringConstraints(pattern=r"^[a-z0-9]+(-[a-z0-9]+)*$", min_length=2, max_length=63),
    AfterValidator(_not_reserved),
]
"""A DNS label, since it may become a host name."""


class CreateTenant(Input):
    slug: TenantSlug
    name: Annotated[str, StringConstraints(min_length=1, max_length=255)]
    default_locale: Locale = "en"
    default_currency: Currency = "EUR"


class Tenant(Result):
    id: UUID
    slug: str
    name: str
    default_locale: str
    default_currency: str
    is_active: bool
    version: int
