"""Search of products: each question a storefront asks, in every order, page by page."""

from typing import Any
from uuid import UUID

import pytest

from rustok.testing import PlatformUnderTest

pytestmark = pytest.mark.under_fire

Facts = dict[str, Any]

A: Facts = {"vendor": "Acme", "product_type": "bike", "tags": ["city", "steel"], "price": 500}
B: Facts = {"vendor": "Acme", "product_type": "bike", "tags": ["city"], "price": 300, "was": 400}
C: Facts = {"vendor": "Volt", "product_type": "bike", "tags": ["steel"], "price": 300}
D: Facts = {"vendor": "Volt", "product_type": "lamp", "tags": ["city"], "price": 100, "was": 150}
E: Facts = {"vendor": "Volt", "product_type": "lamp", "tags": [], "price": None}
PRODUCTS = {"A": A, "B": B, "C": C, "D": D, "E": E}
"""In the order of their publication; the title of each is its letter."""

QUESTIONS: list[tuple[dict[str, Any], str]] = [
    ({}, "EDCBA"),
    ({"sort": "title"}, "ABCDE"),
    ({"sort": "price"}, "DBCA"),
    ({"sort": "-price"}, "ACBD"),
    ({"product_type": "bike"}, "CBA"),
    ({"product_type": "bike", "sort": "title"}, "ABC"),
    ({"product_type": "bike", "sort": "price"}, "BCA"),
    ({"product_type": "bike", "sort": "-price"}, "ACB"),
    ({"product_type": "lamp", "sort": "price"}, "D"),
    ({"product_type": "boat"}, ""),
    ({"price_to": "300"}, "DCB"),
    ({"price_to": "300", "sort": "price"}, "DBC"),
    ({"price_to": "300", "sort": "-price"}, "CBD"),
    ({"product_type": "bike", "price_to": "300"}, "CB"),
    ({"product_type": "bike", "price_to": "300", "sort": "price"}, "BC"),
    ({"product_type": "bike", "price_to": "300", "sort": "-price"}, "CB"),
    ({"price_from": "300"}, "CBA"),
    ({"price_from": "300", "price_to": "400", "sort": "price"}, "BC"),
    ({"product_type": "bike", "price_from": "400", "sort": "price"}, "A"),
    ({"vendor": "Volt"}, "EDC"),
    ({"vendor": "Volt", "product_type": "bike", "sort": "price"}, "C"),
    ({"tags": ["city"]}, "DBA"),
    ({"tags": ["city", "steel"]}, "A"),
    ({"on_sale": "true"}, "DB"),
    ({"on_sale": "false", "product_type": "bike"}, "CA"),
    ({"q": "sturdy"}, "EDCBA"),
    ({"q": "sturdy", "sort": "title"}, "ABCDE"),
    ({"q": "sturdy", "sort": "price", "product_type": "bike"}, "BCA"),
    ({"q": "sturdy", "vendor": "Acme"}, "BA"),
    ({"q": "lamp"}, "ED"),
    ({"q": "sturdy -volt"}, "BA"),
    ({"q": "absent"}, ""),
]
"""What is asked and the titles of the hits. Equals are in the order of creation, reversed where the sort descends."""


async def a_shop(rustok: PlatformUnderTest) -> UUID:
    """Return a tenant with the products above, all published and in the index."""
    tenant = await rustok.create_tenant()
    for title, facts in PRODUCTS.items():
        price = {"amount": facts["price"], "compare_at": facts.get("was")}
        await rustok.run(
            "commerce.products.create",
            tenant,
            status="active",
            vendor=facts["vendor"],
            product_type=facts["product_type"],
            tags=facts["tags"],
            translations={"en": {"title": title, "description": "Sturdy"}},
            variants=[{"sku": f"SKU-{title}", "prices": {} if facts["price"] is None else {"EUR": price}}],
        )
    await rustok.settle()
    return tenant


async def titles(rustok: PlatformUnderTest, tenant: UUID, arguments: dict[str, Any], limit: int) -> list[str]:
    """Return the titles on each page."""
    pages: list[str] = []
    cursor: dict[str, str] = {}
    while len(pages) <= len(PRODUCTS):
        page = await rustok.query("index.products.search", tenant, locale="en", limit=str(limit), **arguments, **cursor)
        pages.append("".join(hit.title for hit in page.data))
        if page.page.next is None:
            break
        cursor = {"after": page.page.next}
    return pages


async def titles_back(rustok: PlatformUnderTest, tenant: UUID, arguments: dict[str, Any], limit: int) -> list[str]:
    """Return the titles on each page, from the last page to the first."""
    asked = {"locale": "en", "limit": str(limit), **arguments}
    page = await rustok.query("index.products.search", tenant, **asked)
    while page.page.next is not None:
        page = await rustok.query("index.products.search", tenant, **asked, after=page.page.next)
    pages = ["".join(hit.title for hit in page.data)]
    while page.page.prev is not None and len(pages) <= len(PRODUCTS):
        page = await rustok.query("index.products.search", tenant, **asked, after=page.page.prev)
        pages.append("".join(hit.title for hit in page.data))
    return pages


async def test_each_question_has_its_answer_in_its_order(rustok: PlatformUnderTest) -> None:
    """Filters narrow, sorts order; a product without a price is in no list by price."""
    tenant = await a_shop(rustok)

    answers = [(asked, await titles(rustok, tenant, asked, 100)) for asked, _ in QUESTIONS]

    assert answers == [(asked, [expected]) for asked, expected in QUESTIONS]


@pytest.mark.parametrize("size", [1, 2])
async def test_pages_put_together_are_the_whole_answer(rustok: PlatformUnderTest, size: int) -> None:
    """Of every question: no hit is left out and none is shown twice, also among equals."""
    tenant = await a_shop(rustok)

    answers = [(asked, await titles(rustok, tenant, asked, size)) for asked, _ in QUESTIONS]

    assert answers == [
        (asked, [expected[start : start + size] for start in range(0, len(expected), size)] or [""])
        for asked, expected in QUESTIONS
    ]


@pytest.mark.parametrize("size", [1, 2])
async def test_the_way_back_shows_the_same_pages(rustok: PlatformUnderTest, size: int) -> None:
    """Of every question, also among equals, and by relevance: the rank of a hit depends on nothing but the hit."""
    tenant = await a_shop(rustok)

    for asked, _ in QUESTIONS:
        onwards = await titles(rustok, tenant, asked, size)
        assert await titles_back(rustok, tenant, asked, size) == onwards[::-1], asked


async def test_a_plan_that_is_kept_answers_as_a_new_one(rustok: PlatformUnderTest) -> None:
    """Listings are planned once a connection: the answers of the tenth round are those of the first."""
    tenant = await a_shop(rustok)

    for _ in range(10):
        answers = [(asked, await titles(rustok, tenant, asked, 100)) for asked, _ in QUESTIONS[:16]]

    assert answers == [(asked, [expected]) for asked, expected in QUESTIONS[:16]]
