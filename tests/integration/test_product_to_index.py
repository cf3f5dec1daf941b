"""A product on its way from the write to the storefront."""

from typing import Any

import pytest

from rustok.testing import PlatformUnderTest

pytestmark = pytest.mark.under_fire


def a_product(**fields: Any) -> dict[str, Any]:
    return {
        "status": "active",
        "vendor": "Acme",
        "translations": {
            "en": {"title": "Red bicycles", "description": "For riding in towns"},
            "de": {"title": "Rote Fahrräder", "handle": "rad"},
        },
        "variants": [{"sku": "BIKE-1", "prices": {"EUR": {"amount": 19900, "compare_at": 24900}}}],
        **fields,
    }


async def test_a_published_product_is_found_in_each_of_its_locales(rustok: PlatformUnderTest) -> None:
    """One document a locale, in the locale's own language: "bicycle" finds "bicycles"."""
    tenant = await rustok.create_tenant()
    product = await rustok.run("commerce.products.create", tenant, **a_product())

    await rustok.settle()

    english = await rustok.query("index.products.search", tenant, locale="en", q="bicycle")
    german = await rustok.query("index.products.search", tenant, locale="de", q="Fahrrad")
    assert [hit.product_id for hit in english.data] == [product.id]
    assert [hit.handle for hit in german.data] == ["rad"]
    assert (english.data[0].price_min, english.data[0].on_sale) == (19900, True)
    assert english.data[0].source_version == product.version == 2


async def test_an_unpublished_product_leaves_the_storefront(rustok: PlatformUnderTest) -> None:
    """The storefront shows what is published now, and nothing else."""
    tenant = await rustok.create_tenant()
    product = await rustok.run("commerce.products.create", tenant, **a_product())
    await rustok.settle()

    await rustok.run("commerce.products.unpublish", tenant, product_id=str(product.id))
    await rustok.settle()

    assert (await rustok.query("index.products.search", tenant, locale="en")).data == []
