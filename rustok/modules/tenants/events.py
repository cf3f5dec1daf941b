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
