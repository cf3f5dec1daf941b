"""Visitors: without a credential one may search an open storefront, and nothing else."""

from collections.abc import AsyncIterator

import httpx2
import pytest

from tests.integration.api.graphql.support import PATH, fault
from tests.integration.api.support import ApiUnderTest

SEARCH = {"query": '{ searchProducts(locale: "en") { edges { node { title } } } }'}
WRITE = 'mutation { createNode(input: {kind: "faq", translations: [{locale: "en", title: "Mine"}]}) { id } }'
ACME = {"X-Tenant": "acme"}


@pytest.fixture
async def visitor(api: ApiUnderTest) -> AsyncIterator[httpx2.AsyncClient]:
    """Somebody without a credential; acme has an open storefront, and a product in it."""
    await api.create(status="active")
    await api.rustok.settle()
    await api.rustok.run("tenants.storefronts.open", api.tenant_id)
    async with httpx2.AsyncClient(transport=api.client._transport, base_url="http://api.test") as client:
        yield client


async def test_a_visitor_searches_what_is_published(visitor: httpx2.AsyncClient) -> None:
    found = await visitor.post(PATH, json=SEARCH, headers=ACME)

    assert found.json() == {"data": {"searchProducts": {"edges": [{"node": {"title": "Red bicycle"}}]}}}


@pytest.mark.parametrize("document", ["{ products { edges { cursor } } }", "{ nodes { edges { cursor } } }", WRITE])
async def test_a_visitor_may_do_nothing_else(visitor: httpx2.AsyncClient, document: str) -> None:
    refused = await visitor.post(PATH, json={"query": document}, headers=ACME)

    assert (refused.status_code, fault(refused)["code"]) == (200, "permission_denied")
