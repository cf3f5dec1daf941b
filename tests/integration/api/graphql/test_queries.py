"""Queries: the same as REST finds, as connections and links."""

from datetime import date
from typing import Any

import pytest

from rustok.catalog import MODULES
from rustok.kernel.module import Deprecation
from rustok.testing import PlatformUnderTest
from tests.integration.api.graphql.support import data, fault, post
from tests.integration.api.support import PRODUCTS, UNKNOWN_ID, ApiUnderTest
from tests.unit.modules_by_hand import Lamp, a_query, lamps


async def test_a_product_is_as_rest_has_it(api: ApiUnderTest) -> None:
    """In GraphQL's names; what is a map there is a list here."""
    created = await api.create(
        status="active", tags=["city"], variants=[{"sku": "S", "prices": {"EUR": {"amount": 2**40}}}]
    )

    found = await data(
        api,
        """query ($id: ID!) { product(productId: $id) {
             id version status tags richDescription publishedAt __typename
             translations { locale title metaTitle }
             variants { id sku prices { currency amount compareAt } } } }""",
        id=created["id"],
    )

    assert found["product"] == {
        "id": created["id"],
        "version": created["version"],
        "status": "ACTIVE",
        "tags": ["city"],
        "richDescription": {},
        "publishedAt": created["published_at"],
        "__typename": "Product",
        "translations": [{"locale": "en", "title": "Red bicycle", "metaTitle": None}],
        "variants": [
            {
                "id": created["variants"][0]["id"],
                "sku": "S",
                "prices": [{"currency": "EUR", "amount": 2**40, "compareAt": None}],
            }
        ],
    }


async def test_what_is_not_there_is_told_by_the_code_of_rest(api: ApiUnderTest) -> None:
    answer = await post(api, f'{{ product(productId: "{UNKNOWN_ID}") {{ id }} }}')

    assert (answer.status_code, answer.json()["data"]) == (200, {"product": None})
    rest = (await api.client.get(f"{PRODUCTS}/{UNKNOWN_ID}")).json()
    told = fault(answer)
    assert (told["code"], told["retryable"], told["violations"]) == (rest["code"], rest["retryable"], rest["errors"])
    assert told["request_id"] == answer.headers["x-request-id"]


async def test_a_connection_goes_on_by_its_cursors(api: ApiUnderTest) -> None:
    """They are those of REST, and each edge has one."""
    ids = [(await api.create(translations={"en": {"title": f"Bike {n}"}}))["id"] for n in range(3)]
    document = """query ($first: Int!, $after: String) { products(first: $first, after: $after) {
        edges { cursor node { id } } pageInfo { hasNextPage hasPreviousPage startCursor endCursor } } }"""

    first = (await data(api, document, first=2))["products"]
    rest = (await api.client.get(PRODUCTS, params={"limit": 2})).json()
    second = (await data(api, document, first=2, after=first["pageInfo"]["endCursor"]))["products"]
    after_one = (await data(api, document, first=2, after=first["edges"][0]["cursor"]))["products"]

    assert [edge["node"]["id"] for edge in first["edges"] + second["edges"]] == ids[::-1]
    assert [edge["node"]["id"] for edge in after_one["edges"]] == ids[1::-1]
    assert first["pageInfo"] == {
        "hasNextPage": True,
        "hasPreviousPage": False,
        "startCursor": first["edges"][0]["cursor"],
        "endCursor": rest["page"]["next"],
    }
    assert (second["pageInfo"]["hasNextPage"], second["pageInfo"]["hasPreviousPage"]) == (False, True)


async def test_an_empty_connection_has_no_cursors(api: ApiUnderTest) -> None:
    found = await data(api, "{ posts { edges { cursor } pageInfo { hasNextPage startCursor endCursor } } }")

    assert found["posts"] == {"edges": [], "pageInfo": {"hasNextPage": False, "startCursor": None, "endCursor": None}}


async def test_search_finds_what_rest_finds(api: ApiUnderTest) -> None:
    await api.create(status="active", vendor="Acme")
    await api.rustok.settle()

    found = await data(
        api,
        """{ searchProducts(locale: "en", q: "bicycles", sort: RELEVANCE) {
             edges { node { productId title vendor onSale details product { version status } } } } }""",
    )

    [hit] = (await api.client.get("/api/v1/search/products", params={"locale": "en", "q": "bicycles"})).json()["data"]
    assert found["searchProducts"]["edges"] == [
        {
            "node": {
                "productId": hit["product_id"],
                "title": hit["title"],
                "vendor": "Acme",
                "onSale": False,
                "details": hit["details"],
                "product": {"version": hit["source_version"], "status": "ACTIVE"},
            }
        }
    ]


async def test_faults_in_arguments_are_named_as_graphql_names_them(api: ApiUnderTest) -> None:
    answer = await post(api, '{ products(first: 101, after: "") { edges { cursor } } }')

    told = fault(answer)
    assert (told["code"], [each["pointer"] for each in told["violations"]]) == ("invalid_input", ["#/first"])


async def test_one_field_that_fails_takes_nothing_from_the_others(api: ApiUnderTest) -> None:
    product = await api.create()

    answer = await post(
        api,
        f'{{ none: product(productId: "{UNKNOWN_ID}") {{ id }} one: product(productId: "{product["id"]}") {{ id }} }}',
    )

    assert answer.json()["data"] == {"none": None, "one": {"id": product["id"]}}
    assert answer.json()["errors"][0]["path"] == ["none"]


@pytest.mark.parametrize(
    ("accept", "media_type"),
    [
        (None, "application/json"),
        ("*/*", "application/json"),
        ("application/json", "application/json"),
        ("application/graphql-response+json, application/json;q=0.9", "application/graphql-response+json"),
    ],
)
async def test_the_answer_is_of_the_type_that_is_accepted(api: ApiUnderTest, accept: str, media_type: str) -> None:
    answer = await post(api, "{ __typename }", {"Accept": accept} if accept else None)

    assert (answer.status_code, answer.headers["content-type"]) == (200, media_type)
    assert answer.json() == {"data": {"__typename": "Query"}}


async def test_a_deprecated_field_is_announced_as_rest_does(rustok: PlatformUnderTest) -> None:
    """In the headers of the answer, whatever fragment the field is in."""
    old = lamps(
        queries=(a_query(handler=find_lamp, deprecation=Deprecation(since=date(2026, 11, 27))),),
        commands=(),
        projections=(),
    )
    async with ApiUnderTest.open(rustok, modules=(*MODULES, old)) as api:
        answer = await post(api, '{ ...Old } fragment Old on Query { findRoomLamps(room: "hall") { lampId } }')
        other = await post(api, "{ __typename }")

    assert answer.json()["data"] == {"findRoomLamps": {"lampId": "hall-1"}}
    assert answer.headers["Deprecation"] == "@1795737600"
    assert "Deprecation" not in other.headers


async def find_lamp(_uow: Any, _data: Any) -> Lamp:
    return Lamp(lamp_id="hall-1")
