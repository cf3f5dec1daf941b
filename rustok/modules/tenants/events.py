"""Facts that the tenants module publishes."""

from typing import ClassVar

from rustok.kernel.event import Event


class TenantCreated(Event):
    """A tenant exists; its other rows may follow."""

    type: ClassVar = "tenants.tenant.created"
    aggregate: ClassVar = "tenant"
    example: ClassVar = {"slug": "acme", "default_locale": "en", "default_currency": "EUR"}

    slug: str
    default_locale: str
    default_currency: str


class ModuleEnabled(Event):
    """The tenant has a module again, or for the first time."""

    type: ClassVar = "tenants.module.enabled"
    aggregate: ClassVar = "tenant"
    example: ClassVar = {"module": "blog"}

    module: str


class ModuleDisabled(Event):
    """The tenant does without a module from now on; its data stays."""

    type: ClassVar = "tenants.module.disabled"
    aggregate: ClassVar = "tenant"
    example: ClassVar = {"module": "blog"}

    module: str


class RequestQuotaSet(Event):
    """An operator has given a tenant another quota of requests; null: that which all have."""

    type: ClassVar = "tenants.tenant.request_quota_set"
    aggregate: ClassVar = "tenant"
    example: ClassVar = {"request_quota": "2000/s"}

    request_quota: str | None


class TenantDisabled(Event):
    """An operator has switched the tenant off: its requests are refused, and its jobs wait."""

    type: ClassVar = "tenants.tenant.disabled"
    aggregate: ClassVar = "tenant"
    example: ClassVar = {"slug": "acme"}

    slug: str


class TenantEnabled(Event):
    """An operator has switched the tenant on again."""

    type: ClassVar = "tenants.tenant.enabled"
    aggregate: ClassVar = "tenant"
    example: ClassVar = {"slug": "acme"}

    slug: str


class DomainAdded(Event):
    """A domain is the tenant's: requests to it are about this tenant."""

    type: ClassVar = "tenants.domain.added"
    aggregate: ClassVar = "tenant"
    example: ClassVar = {"domain": "shop.example.com"}

    domain: str


class DomainRemoved(Event):
    """A domain is the tenant's no more."""

    type: ClassVar = "tenants.domain.removed"
    aggregate: ClassVar = "tenant"
    example: ClassVar = {"domain": "shop.example.com"}

    domain: str


class StorefrontOpened(Event):
    """What the tenant has published may be read without a credential."""

    type: ClassVar = "tenants.storefront.opened"
    aggregate: ClassVar = "tenant"
    example: ClassVar = {"slug": "acme"}

    slug: str


class StorefrontClosed(Event):
    """It may be read with a credential only."""

    type: ClassVar = "tenants.storefront.closed"
    aggregate: ClassVar = "tenant"
    example: ClassVar = {"slug": "acme"}

    slug: str


class TenantErased(Event):
    """What is left of the log's newest event when its tenant was erased. It is nobody's, and says nothing of whom."""

    type: ClassVar = "tenants.tenant.erased"
    aggregate: ClassVar = "tenant"
    example: ClassVar = {}
