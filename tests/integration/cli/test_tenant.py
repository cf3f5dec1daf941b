"""`rustok tenant`: what an operator does about a tenant."""

import json

import pytest

from rustok.testing import PlatformUnderTest
from tests.integration.cli.conftest import Cli


async def test_a_tenant_is_switched_off_and_on(rustok: PlatformUnderTest, cli: Cli) -> None:
    """By slug or by id; whoever lists or shows it sees which."""
    tenant = await rustok.create_tenant("acme")

    disabled = await cli("tenant", "disable", "acme", "--json")
    shown = await cli("tenant", "show", str(tenant), "--json")
    listed = await cli("tenant", "list", "--json")
    enabled = await cli("tenant", "enable", str(tenant), "--json")

    states = [json.loads(finished.out)[0]["is_active"] for finished in (disabled, shown, listed, enabled)]
    assert states == [False, False, False, True]


@pytest.mark.parametrize("verb", ["show", "disable", "enable"])
async def test_a_tenant_that_there_is_not_is_named(rustok: PlatformUnderTest, cli: Cli, verb: str) -> None:  # noqa: ARG001
    """By the code that HTTP has for it."""
    finished = await cli("tenant", verb, "acme")

    assert finished.code == 1
    assert "There is no tenant 'acme'" in finished.err
    assert "(tenant_not_found)" in finished.err


async def test_domains_are_added_listed_and_removed(rustok: PlatformUnderTest, cli: Cli) -> None:
    """In the form that requests have."""
    await rustok.create_tenant("acme")

    added = await cli("tenant", "domain", "add", "acme", "Bücher.example", "--json")
    listed = await cli("tenant", "domain", "list", "acme", "--json")
    removed = await cli("tenant", "domain", "remove", "acme", "bücher.example", "--json")

    assert json.loads(listed.out) == [{"domain": "xn--bcher-kva.example"}]
    domains = [json.loads(finished.out)[0]["domains"] for finished in (added, removed)]
    assert domains == [["xn--bcher-kva.example"], []]


async def test_a_storefront_is_opened_and_closed(rustok: PlatformUnderTest, cli: Cli) -> None:
    """It is closed unless somebody opens it."""
    await rustok.create_tenant("acme")

    finished = [
        await cli("tenant", *words, "acme", "--json")
        for words in (("show",), ("storefront", "open"), ("storefront", "close"))
    ]

    assert [json.loads(each.out)[0]["has_storefront"] for each in finished] == [False, True, False]


@pytest.mark.parametrize(
    ("domain", "complaint"),
    [
        ("globex.example", "Another tenant has this domain"),
        ("http://shop.example", "is no name of a domain"),
        ("acme.shops.example", "Below shops.example, RUSTOK_TENANT_BASE_DOMAIN"),
    ],
)
async def test_a_domain_that_cannot_be_the_tenants_is_refused(
    rustok: PlatformUnderTest, cli: Cli, domain: str, complaint: str
) -> None:
    """And why, in one line."""
    await rustok.create_tenant("acme")
    await rustok.run("tenants.domains.add", await rustok.create_tenant("globex"), domain="globex.example")

    finished = await cli("tenant", "domain", "add", "acme", domain, RUSTOK_TENANT_BASE_DOMAIN="Shops.example")

    assert finished.code == 1
    assert complaint in finished.err
