"""Domains and storefronts of tenants."""

import pytest

from rustok.kernel.errors import InvalidInput
from rustok.modules.tenants.errors import DomainNotFound, DomainTaken
from rustok.testing import PlatformUnderTest

pytestmark = pytest.mark.under_fire


async def test_what_is_done_twice_is_done_once(rustok: PlatformUnderTest) -> None:
    """One event each time that something has changed."""
    tenant = await rustok.create_tenant()
    domain = "Shop.Example"

    for command in ("storefronts.open", "storefronts.open", "storefronts.close", "storefronts.close"):
        await rustok.run(f"tenants.{command}", tenant)
    added = [await rustok.run("tenants.domains.add", tenant, domain=domain) for _ in range(2)]
    removed = await rustok.run("tenants.domains.remove", tenant, domain=domain)

    assert [found.domains for found in (*added, removed)] == [["shop.example"], ["shop.example"], []]
    told = [(event.envelope.type, event.envelope.aggregate_version) for event in await rustok.events()]
    assert told == [
        ("tenants.tenant.created", 1),
        ("tenants.storefront.opened", 2),
        ("tenants.storefront.closed", 3),
        ("tenants.domain.added", 4),
        ("tenants.domain.removed", 5),
    ]


async def test_a_domain_belongs_to_one_tenant(rustok: PlatformUnderTest) -> None:
    """Whoever types it how; when it was taken from one, another may have it."""
    first, other = await rustok.create_tenant("acme"), await rustok.create_tenant("globex")
    await rustok.run("tenants.domains.add", first, domain="bücher.example")

    with pytest.raises(DomainTaken, match="removed there first"):
        await rustok.run("tenants.domains.add", other, domain="XN--BCHER-KVA.example")
    await rustok.run("tenants.domains.remove", first, domain="bücher.example")

    assert (await rustok.run("tenants.domains.add", other, domain="bücher.example")).domains == [
        "xn--bcher-kva.example"
    ]


async def test_a_domain_that_the_tenant_has_not_is_not_removed(rustok: PlatformUnderTest) -> None:
    """Also when another one has it."""
    first, other = await rustok.create_tenant("acme"), await rustok.create_tenant("globex")
    await rustok.run("tenants.domains.add", first, domain="shop.example")

    with pytest.raises(DomainNotFound, match=r"shop\.example"):
        await rustok.run("tenants.domains.remove", other, domain="shop.example")


async def test_what_is_no_domain_is_refused(rustok: PlatformUnderTest) -> None:
    """With its place in the input."""
    tenant = await rustok.create_tenant()

    with pytest.raises(InvalidInput) as refused:
        await rustok.run("tenants.domains.add", tenant, domain="localhost")

    assert [fault.pointer for fault in refused.value.violations] == ["/domain"]
