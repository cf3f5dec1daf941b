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
