"""Hostile documents: each is refused with its code before it costs anything, and none is answered 500."""

from collections.abc import Callable
from typing import Any

import httpx2
import pytest
from graphql import get_introspection_query

from api.graphql import cost, limits
from rustok.testing import PlatformUnderTest
from tests.integration.api.graphql.support import PATH, data, fault, post
from tests.integration.api.support import ApiUnderTest, assert_problem, settings_for

INVALID, MALFORMED = "graphql_invalid", "graphql_malformed"
DEEP, LONG, COSTLY = "graphql_too_deep", "graphql_too_long", "graphql_too_costly"
WIDE = """id version status vendor productType tags seo createdAt updatedAt translations { locale title handle }
    options { name choices } variants { id sku barcode option1 prices { currency amount compareAt } }"""
SOME = "id vendor version status tags seo translations { locale title handle } variants { id sku barcode }"
PRICE = "currency amount compareAt"
PAGE = "products { edges { node { id } } }"


def nested(levels: int, field: str = "parent") -> str:
    return f"{{ nodes(first: 1) {{ edges {{ node {{ {f'{field} {{' * levels} id {'}' * levels} }} }} }} }}"


def spread_twice(times: int) -> str:
    """Return fragments each of which spreads the next one twice: 2 to the power of *times* fields."""
    fragments = [f"fragment F{n} on Query {{ ...F{n + 1} ...F{n + 1} }}" for n in range(times)]
    return " ".join(["{ ...F0 }", *fragments, f"fragment F{times} on Query {{ __typename }}"])


def many(count: int, each: Callable[[int], str]) -> str:
    return " ".join(map(each, range(count)))


def two_pages(first: int | str) -> str:
    return many(2, lambda n: f"a{n}: products(first: {first}) {{ edges {{ node {{ {WIDE} }} }} }}")


DOCUMENTS = {
    "empty": ("", MALFORMED),
    "not GraphQL": ("hello", MALFORMED),
    "a null byte in a text": ('{ searchProducts(locale: "e\\u0000n") { edges { cursor } } }', "invalid_input"),
    "half a surrogate": ('{ searchProducts(locale: "\\uD800") { edges { cursor } } }', MALFORMED),
    "deep": (nested(30), DEEP),
    "too deep for the parser": ("{ a " * 400 + "}" * 400, DEEP),
    "deep in fragments": (
        "{ ...F0 } "
        + many(30, lambda n: f"fragment F{n} on Query {{ ...F{n + 1} }}")
        + "fragment F30 on Query { __typename }",
        DEEP,
    ),
    "deep in inline fragments": ("{ " + "... { " * 30 + "__typename" + " }" * 31, DEEP),
    "a deep value": ("{ product(productId: " + "[" * 40 + "]" * 40 + ") { id } }", DEEP),
    "a value too deep for the parser": ("{ product(productId: " + "[" * 700 + "]" * 700 + ") { id } }", DEEP),
    "long": ("{ " + "__typename " * 2000 + "}", LONG),
    "long in comments": ("#\n" * 2000 + "{ __typename }", LONG),
    "aliases": ("{ " + many(31, lambda n: f"a{n}: __typename") + " }", "graphql_too_many_aliases"),
    "aliases below": (
        "{ nodes { edges { node { " + many(31, lambda n: f"a{n}: id") + " } } } }",
        "graphql_too_many_aliases",
    ),
    "repeated fields": ("{ nodes { edges { node { " + "parent { id } " * 32 + " } } } }", "graphql_too_many_aliases"),
    "fragments": ("{ " + "... { __typename } " * 41 + "}", "graphql_too_many_fragments"),
    "root fields": ("{ " + many(17, lambda n: f"a{n}: {PAGE}") + " }", "graphql_too_many_fields"),
    "root fields of a mutation": (
        "mutation { " + many(17, lambda n: f'a{n}: publishNode(input: {{nodeId: "x"}}) {{ id }}') + " }",
        "graphql_too_many_fields",
    ),
    "root fields in fragments": (spread_twice(5), "graphql_too_many_fields"),
    "a bomb of fragments": (spread_twice(18), "graphql_too_many_fields"),
    "directives": ("{ __typename " + "@include(if: true) " * 21 + "}", "graphql_too_many_directives"),
    "directives unknown": ("{ __typename " + "@a " * 21 + "}", "graphql_too_many_directives"),
    "a directive twice": ("{ __typename @skip(if: false) @skip(if: false) }", INVALID),
    "wide": (f"{{ {two_pages(100)} }}", COSTLY),
    "a page beyond all bounds": (f"{{ products(first: {2**31 - 1}) {{ edges {{ cursor }} }} }}", COSTLY),
    "pages beside each other": (
        "{ " + many(16, lambda n: f"a{n}: products(first: 100) {{ edges {{ node {{ {SOME} }} }} }}") + " }",
        COSTLY,
    ),
    "links beside each other, of which each is executed": (
        "{ nodes(first: 100) { edges { node { "
        + many(15, lambda n: f"a{n}: parent {{ ...F }}")
        + " } } } } fragment F on Node { "
        + many(15, lambda n: f"b{n}: parent {{ id }}")
        + " }",
        COSTLY,
    ),
    "a circle": ("{ ...F } fragment F on Query { ...F }", INVALID),
    "a circle of two": ("{ ...F } fragment F on Query { ...G } fragment G on Query { ...F }", INVALID),
    "a circle nobody spreads": ("{ __typename } fragment F on Query { ...G } fragment G on Query { ...F }", INVALID),
    "a fragment that is not there": ("{ ...F }", INVALID),
    "a huge number": ("{ products(first: " + "9" * 5000 + ") { edges { cursor } } }", MALFORMED),
    "a number beyond a double": (
        'mutation { createNode(input: {kind: "x", translations: [], metadata: {a: 1e999}}) { id } }',
        INVALID,
    ),
    "a number beyond 64 bits": (
        f'mutation {{ createNode(input: {{kind: "x", translations: [], metadata: {{a: {2**70}}}}}) {{ id }} }}',
        INVALID,
    ),
    "an unknown field": ("{ secrets { id } }", INVALID),
    "a leaf with fields": ("{ products { edges { cursor { id } } } }", INVALID),
    "an object without fields": ("{ products }", INVALID),
    "fields that differ under one name": ("{ products { edges { node { id: vendor id } } } }", INVALID),
    "two operations, none of them named": (
        "query A { __typename } query B { __typename }",
        "graphql_operation_unknown",
    ),
    "only a fragment": ("fragment F on Query { __typename }", "graphql_operation_unknown"),
    "a subscription": ("subscription { products { id } }", "graphql_operation_unknown"),
    "a type": ("type Query { a: Int }", "graphql_operation_unknown"),
}


@pytest.mark.parametrize(("document", "code"), DOCUMENTS.values(), ids=DOCUMENTS)
async def test_a_hostile_document_is_refused_with_its_code(shared_api: ApiUnderTest, document: str, code: str) -> None:
    answer = await post(shared_api, document)

    is_request_error = code.startswith("graphql_")
    assert (answer.status_code, "data" in answer.json()) == (400 if is_request_error else 200, not is_request_error)
    assert {error["extensions"]["code"] for error in answer.json()["errors"]} == {code}
    assert not is_request_error or "data" not in answer.json()


VARIABLES: dict[str, Any] = {
    "missing": {},
    "null": {"first": None},
    "a text": {"first": "1"},
    "a list": {"first": [1]},
    "an object": {"first": {"a": 1}},
    "beyond 32 bits": {"first": 2**40},
    "a fraction": {"first": 0.5},
}


@pytest.mark.parametrize("variables", VARIABLES.values(), ids=VARIABLES)
async def test_variables_that_do_not_fit_are_refused(shared_api: ApiUnderTest, variables: dict[str, Any]) -> None:
    answer = await post(
        shared_api, "query ($first: Int!) { products(first: $first) { edges { cursor } } }", **variables
    )

    assert (answer.status_code, fault(answer)["code"]) == (400, COSTLY if variables == {"first": 2**40} else INVALID)


async def test_a_page_costs_what_its_variable_says(shared_api: ApiUnderTest) -> None:
    """And what the default of the variable says where it is not sent."""
    document = f"query ($first: Int = %d) {{ {two_pages('$first')} }}"

    large = await post(shared_api, document % 1, first=100)
    by_default = await post(shared_api, document % 100)
    small = await post(shared_api, document % 100, first=1)

    assert [fault(large)["code"], fault(by_default)["code"]] == [COSTLY, COSTLY]
    assert small.status_code == 200


async def test_lists_inside_of_lists_count_by_what_they_may_hold(shared_api: ApiUnderTest) -> None:
    """Pages of products with all their prices are large, though only `first` is a number."""
    pages = many(
        3, lambda n: f"a{n}: products(first: $first) {{ edges {{ node {{ variants {{ prices {{ {PRICE} }} }} }} }} }}"
    )
    document = f"query ($first: Int!) {{ {pages} }}"

    large = await post(shared_api, document, first=100)
    small = await post(shared_api, document, first=50)

    assert fault(large)["code"] == COSTLY
    assert small.status_code == 200, small.text


@pytest.mark.parametrize(
    ("body", "status", "code"),
    [
        ("[]", 422, "invalid_input"),
        ('[{"query": "{ __typename }"}, {"query": "{ __typename }"}]', 422, "invalid_input"),
        ("{}", 422, "invalid_input"),
        ('{"query": 1}', 422, "invalid_input"),
        ('{"query": "{ __typename }", "variables": []}', 422, "invalid_input"),
        ('{"query": "{ __typename }", "operationName": {}}', 422, "invalid_input"),
        ('{"query": "{ __typename }", "doc_id": "1"}', 422, "invalid_input"),
        ('{"query": "{ __typename }", "query": "{ a }"}', 422, "invalid_input"),
        ('{"query": "\\u0000"}', 422, "invalid_input"),
        ('{"query": "\\ud800"}', 422, "invalid_input"),
        ("query", 400, "malformed_json"),
        ('{"query": "' + "a" * 2**20 + '"}', 413, "body_too_large"),
    ],
)
async def test_a_body_that_is_no_request_is_a_problem(
    shared_api: ApiUnderTest, body: str, status: int, code: str
) -> None:
    headers = {"Content-Type": "application/json"}

    assert_problem(await shared_api.client.post(PATH, content=body, headers=headers), status, code)


async def test_other_methods_and_types_are_refused(shared_api: ApiUnderTest) -> None:
    """A link that is followed runs nothing, and no form of another site does."""
    got = await shared_api.client.get(PATH, params={"query": "{ __typename }"})
    form = await shared_api.client.post(PATH, data={"query": "{ __typename }"})
    bare = await shared_api.client.post(PATH, content="{ __typename }", headers={"Content-Type": "application/graphql"})

    assert_problem(got, 405, "method_not_allowed")
    for answer in (form, bare):
        assert_problem(answer, 415, "unsupported_media_type")


async def test_without_a_credential_there_is_no_answer(shared_api: ApiUnderTest) -> None:
    transport = shared_api.client._transport
    async with httpx2.AsyncClient(transport=transport, base_url="http://api.test") as stranger:
        assert_problem(await stranger.post(PATH, json={"query": "{"}), 400, "tenant_missing")
        named = await stranger.post(PATH, json={"query": "{"}, headers={"X-Tenant": "acme"})
        assert_problem(named, 401, "unauthenticated")


async def test_one_operation_of_a_document_is_run(api: ApiUnderTest) -> None:
    create = 'createNode(input: {kind: "faq", translations: [{locale: "en", title: "Made"}]}) { id }'
    body = {"query": f"mutation A {{ {create} }} query B {{ nodes {{ edges {{ cursor }} }} }}", "operationName": "B"}

    run = await api.client.post(PATH, json=body)
    unknown = await api.client.post(PATH, json={**body, "operationName": "C"})

    assert run.json() == {"data": {"nodes": {"edges": []}}}
    assert fault(unknown)["code"] == "graphql_operation_unknown"
    assert (await data(api, "{ nodes { edges { cursor } } }"))["nodes"]["edges"] == []


async def test_the_schema_can_be_asked_for(shared_api: ApiUnderTest) -> None:
    found = await data(shared_api, get_introspection_query())

    assert found["__schema"]["queryType"]["name"] == "Query"
    assert "Did you mean 'products'" in (await post(shared_api, "{ produkts { edges { cursor } } }")).text


@pytest.mark.parametrize("document", ["{ __schema { types { name } } }", '{ __type(name: "Product") { name } }'])
async def test_where_introspection_is_off_the_schema_is_not_told(rustok: PlatformUnderTest, document: str) -> None:
    """Nor by what a misspelt field might have meant; `__typename` is nothing of the schema."""
    settings = settings_for(rustok.database, graphql_introspection="off")
    async with ApiUnderTest.open(rustok, settings=settings) as api:
        asked = await post(api, document)
        misspelt = await post(api, "{ produkts { edges { cursor } } }")
        name = await data(api, "{ __typename }")

    assert (asked.status_code, fault(asked)["code"]) == (400, "graphql_introspection_off")
    assert "products" not in misspelt.text
    assert name == {"__typename": "Query"}


ALLOWED = {
    "root fields": "{ " + many(cost.MOST_ROOT_FIELDS, lambda n: f"a{n}: __typename") + " }",
    "aliases": "{ nodes { edges { node { " + many(limits.MOST_ALIASES, lambda n: f"a{n}: id") + " } } } }",
    "directives": "{ nodes { edges { node { "
    + many(limits.MOST_DIRECTIVES, lambda _: "id @include(if: true)")
    + " } } } }",
    "fragments": "{ nodes { edges { node { " + "... { id } " * limits.MOST_FRAGMENTS + " } } } }",
    "levels": nested(cost.DEEPEST - 4),
}


@pytest.mark.parametrize("document", ALLOWED.values(), ids=ALLOWED)
async def test_a_document_may_have_as_much_as_is_allowed(shared_api: ApiUnderTest, document: str) -> None:
    await data(shared_api, document)


async def test_a_document_may_have_as_many_tokens_as_are_read(shared_api: ApiUnderTest) -> None:
    def document(tokens: int) -> str:
        return "query ($ids: [ID!] = [" + '"" ' * (tokens - 28) + "]) { nodes(ids: $ids) { edges { cursor } } }"

    most = await post(shared_api, document(limits.MOST_TOKENS_READ), ids=[])
    more = await post(shared_api, document(limits.MOST_TOKENS_READ + 1), ids=[])

    assert most.status_code == 200, most.text
    assert fault(more)["code"] == LONG


@pytest.mark.parametrize(
    "document",
    ["\n" * limits.MOST_CHARACTERS + "{ __typename }", "{ " + "a" * (limits.LONGEST_NAME + 1) + ": __typename }"],
    ids=["characters", "a name"],
)
async def test_neither_a_document_nor_a_name_is_endless(shared_api: ApiUnderTest, document: str) -> None:
    """A name is told with each item of a list, and the place of an error is found by counting lines."""
    refused = await post(shared_api, document)

    assert (refused.status_code, fault(refused)["code"]) == (400, LONG)


@pytest.mark.parametrize("key", ["", ', idempotencyKey: "k"'])
@pytest.mark.parametrize("value", ["12345678901234567890123", "$unsent"])
async def test_a_value_that_has_no_form_in_json_is_the_callers_fault(
    shared_api: ApiUnderTest, value: str, key: str
) -> None:
    """With a key, too: what is kept of a request for its repetition is its JSON."""
    declared = "($unsent: JSON)" if value.startswith("$") else ""
    document = (
        f'mutation{declared} {{ createNode(input: {{kind: "faq", translations: [], metadata: {{a: {value}}}}}{key}) '
        "{ id } }"
    )

    answer = await post(shared_api, document)

    assert fault(answer)["code"] != "internal_error"


async def test_a_whole_number_may_be_written_with_a_fraction_of_none(shared_api: ApiUnderTest) -> None:
    """And counts for what it is."""
    document = f"query ($first: Int!) {{ {two_pages('$first')} }}"

    answers = [await post(shared_api, document, first=first) for first in (100, 100.0)]

    assert [fault(answer)["code"] for answer in answers] == ["graphql_too_costly"] * 2
