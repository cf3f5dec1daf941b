"""Queries over HTTP."""

from typing import Any

import pytest

from tests.integration.api.support import PRODUCTS, UNKNOWN_ID, ApiUnderTest, assert_problem, bearer, pointers

pytestmark = pytest.mark.under_fire

SEARCH = "/api/v1/search/products"


async def test_parameters_arrive_as_the_types_they_are(api: ApiUnderTest) -> None:
    """Texts of the URL become numbers, booleans and enumerations by the query's own schema."""
    for number in range(3):
        await api.create(translations={"en": {"title": f"Bike {number}"}})

    page = (await api.client.get(PRODUCTS, params={"limit": 2, "status": "draft"})).json()
    rest = (
        await api.client.get(PRODUCTS, params={"limit": 2, "status": "draft", "after": page["page"]["next"]})
    ).json()

    assert [len(page["data"]), len(rest["data"])] == [2, 1]


async def test_a_list_is_a_repeated_parameter(api: ApiUnderTest) -> None:
    """`tags=a&tags=b` finds what has both."""
    for tags in (["a"], ["a", "b"]):
        title = {"title": "-".join(tags)}
        await api.create(status="active", tags=tags, translations={"en": title})
    await api.rustok.settle()

    hits = (await api.client.get(f"{SEARCH}?locale=en&tags=a&tags=b")).json()["data"]

    assert [hit["title"] for hit in hits] == ["a-b"]


async def test_a_list_of_one_is_a_list(shared_api: ApiUnderTest) -> None:
    """One occurrence is not another type."""
    response = await shared_api.client.get(f"{SEARCH}?locale=en&tags=a")

    assert (response.status_code, response.json()["data"]) == (200, [])


NODES = "/api/v1/content/nodes"


@pytest.mark.parametrize(
    ("path", "example"),
    [
        (PRODUCTS, {"translations": {"en": {"title": "One"}}}),
        (NODES, {"kind": "faq", "translations": {"en": {"title": "One"}}}),
    ],
)
async def test_some_are_listed_by_their_ids(api: ApiUnderTest, path: str, example: dict[str, Any]) -> None:
    """With the other filters and in pages; what is not there, or another tenant's, is left out."""
    other = await api.rustok.create_tenant("globex")
    others = bearer(await api.new_key(tenant_id=other))
    first, second, _ = [(await api.client.post(path, json=example | _named(n))).json()["id"] for n in range(3)]
    theirs = (await api.client.post(path, json=example, headers=others)).json()["id"]
    asked: dict[str, Any] = {"ids": [first, second, theirs, UNKNOWN_ID], "limit": 1}

    page = (await api.client.get(path, params=asked)).json()
    rest = (await api.client.get(path, params={**asked, "after": page["page"]["next"]})).json()
    published = (await api.client.get(path, params={"ids": [first], "status": "archived"})).json()
    of_another_list = await api.client.get(path, params={"after": page["page"]["next"]})

    assert [[each["id"] for each in found["data"]] for found in (page, rest, published)] == [[second], [first], []]
    assert_problem(of_another_list, 422, "invalid_input")


def _named(number: int) -> dict[str, Any]:
    return {"translations": {"en": {"title": f"Number {number}"}}}


async def test_too_many_ids_are_refused(shared_api: ApiUnderTest) -> None:
    response = await shared_api.client.get(PRODUCTS, params={"ids": [UNKNOWN_ID] * 101})

    assert pointers(assert_problem(response, 422, "invalid_input")) == [("#/ids", "too_long")]


async def test_an_unknown_parameter_is_refused(shared_api: ApiUnderTest) -> None:
    """A misspelt filter must not read as no filter."""
    response = await shared_api.client.get(f"{PRODUCTS}?limt=1&status=draft")

    assert pointers(assert_problem(response, 400, "invalid_input")) == [("#/limt", "unknown_parameter")]


async def test_a_repeated_parameter_is_refused(shared_api: ApiUnderTest) -> None:
    """Two values for one thing: neither is taken."""
    response = await shared_api.client.get(f"{PRODUCTS}?limit=1&limit=2")

    assert pointers(assert_problem(response, 400, "invalid_input")) == [("#/limit", "repeated_parameter")]


async def test_a_field_of_the_path_is_no_parameter(shared_api: ApiUnderTest) -> None:
    """It would have to be ignored, or to win."""
    response = await shared_api.client.get(f"{PRODUCTS}/{UNKNOWN_ID}?product_id={UNKNOWN_ID}")

    assert pointers(assert_problem(response, 400, "invalid_input")) == [("#/product_id", "unknown_parameter")]


@pytest.mark.parametrize("query", ["limit=%FF", "limit=%ED%A0%80", "&".join(["limit=1"] * 201)])
async def test_a_query_string_that_is_no_text_is_refused(shared_api: ApiUnderTest, query: str) -> None:
    """Percent-encoded UTF-8, and not without end."""
    assert_problem(await shared_api.client.get(f"{PRODUCTS}?{query}"), 400, "invalid_input")


@pytest.mark.parametrize(
    ("query", "pointer"),
    [("limit=0", "#/limit"), ("limit=x", "#/limit"), ("status=gone", "#/status"), ("after=x", "#/after")],
)
async def test_a_parameter_that_does_not_fit_is_named(shared_api: ApiUnderTest, query: str, pointer: str) -> None:
    """As fields of a body are."""
    problem = assert_problem(await shared_api.client.get(f"{PRODUCTS}?{query}"), 422, "invalid_input")

    assert [fault["pointer"] for fault in problem["errors"]] == [pointer]


@pytest.mark.parametrize("parameter", ["q=%00", "vendor=a%00b"])
async def test_nul_in_a_parameter_is_refused(shared_api: ApiUnderTest, parameter: str) -> None:
    """PostgreSQL has no text with U+0000."""
    assert_problem(await shared_api.client.get(f"{SEARCH}?locale=en&{parameter}"), 422, "invalid_input")


async def test_an_id_that_is_none_is_named(shared_api: ApiUnderTest) -> None:
    """The message does not repeat it."""
    response = await shared_api.client.get(f"{PRODUCTS}/not-an-id")

    problem = assert_problem(response, 422, "invalid_input")
    assert problem["errors"][0]["pointer"] == "#/product_id"
    assert "not-an-id" not in response.text


async def test_a_head_is_answered_as_a_get(api: ApiUnderTest) -> None:
    """RFC 9110, section 9.3.2: the same headers, no body."""
    product = await api.create()

    response = await api.client.head(f"{PRODUCTS}/{product['id']}")

    assert (response.status_code, response.headers["etag"], response.content) == (200, '"1"', b"")
