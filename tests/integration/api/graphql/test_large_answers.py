"""Large answers: whole pages of whole things are answered, and what is larger than that is refused with its code."""

import re
from pathlib import Path
from typing import Any

import pytest
from graphql import is_required_argument

from api.graphql.meter import MOST_BYTES, MOST_VALUES
from tests.integration.api.graphql.roots import ROOTS, Root
from tests.integration.api.graphql.support import data, fault, post
from tests.integration.api.support import ApiUnderTest

PAGE = Path(__file__).parents[4] / "docs/graphql.md"
[PROMISED] = re.findall(r"Up to (\d+) things of any list may be asked for at once, with all", PAGE.read_text())
COSTLY = "graphql_too_costly"
LISTS = [root for root in ROOTS if "first" in root.field.args]
CURRENCIES = [f"{a}{b}{c}" for a in "ABCD" for b in "EFGHI" for c in "JKLMNOPQRS"]
PRICES = """query ($ids: [ID!]) { products(ids: $ids) { edges { node { variants {
    id sku barcode weightG option1 option2 option3 prices { currency amount compareAt } } } } } }"""
TEXTS = " ".join(f"a{number}: description" for number in range(30))
LESS = " ".join(f"a{number}: description" for number in range(26))


@pytest.mark.parametrize("first", [[], ["first: 50"], [f"first: {PROMISED}"]], ids=["by default", "50", "promised"])
@pytest.mark.parametrize("root", LISTS, ids=lambda root: root.name)
async def test_a_page_of_whole_things_may_be_asked_for(shared_api: ApiUnderTest, root: Root, first: list[str]) -> None:
    """Of as many as docs/graphql.md says, with every field, all that is inside, and the types that Apollo asks for."""
    must = [f'{name}: "en"' for name, argument in root.field.args.items() if is_required_argument(argument)]
    given = f"({', '.join([*must, *first])})" if must or first else ""

    document = f"{{ {root.name}{given} {{ {root.selection} }} }}"

    await data(shared_api, document.replace("{", "{ __typename"))


async def test_a_product_with_all_that_a_command_takes_is_answered_and_two_are_not(api: ApiUnderTest) -> None:
    """100 variants of 200 prices each: what lists have is counted while they are read."""
    prices = {currency: {"amount": 1} for currency in CURRENCIES}
    ids = []
    for title in ("One", "Two"):
        product = await api.rustok.run(
            "commerce.products.create",
            api.tenant_id,
            translations={"en": {"title": title}},
            options=[{"name": "Number", "choices": [str(number) for number in range(100)]}],
            variants=[{"option1": str(number), "prices": prices} for number in range(100)],
        )
        ids.append(str(product.id))

    one = await data(api, PRICES, ids=ids[:1])
    two = await post(api, PRICES, ids=ids)

    [edge] = one["products"]["edges"]
    assert [len(variant["prices"]) for variant in edge["node"]["variants"]] == [200] * 100
    assert (two.status_code, two.json()["data"]) == (200, {"products": None})
    assert fault(two)["code"] == COSTLY
    assert f"more than {MOST_VALUES:,} values" in two.json()["errors"][0]["message"]


async def test_a_text_counts_as_often_as_it_is_answered(api: ApiUnderTest) -> None:
    """By aliases a text of a product is many of the answer."""
    texts = {locale: {"title": locale, "description": "x" * 100_000} for locale in ("de", "en", "fr", "ru")}
    await api.create(translations=texts)

    once = await data(api, "{ products { edges { node { translations { description } } } } }")
    often = await post(api, f"{{ products {{ edges {{ node {{ translations {{ {TEXTS} }} }} }} }} }}")

    assert len(once["products"]["edges"][0]["node"]["translations"]) == 4
    assert fault(often)["code"] == COSTLY
    assert f"more than {MOST_BYTES:,} bytes" in often.json()["errors"][0]["message"]


@pytest.mark.parametrize("notes", ["x" * 60_000, [[]] * 20_000, [2**52] * 3_500], ids=["text", "lists", "numbers"])
async def test_what_many_things_lead_to_counts_for_each_of_them(api: ApiUnderTest, notes: Any) -> None:
    """It is read once, and answered with each, as long as its JSON is."""
    parent = await a_node(api, "Parent", metadata={"notes": notes})
    for number in range(6):
        await a_node(api, f"Child {number}", parent_id=parent)
    often = " ".join(f"a{number}: parent {{ metadata }}" for number in range(30))

    answer = await post(api, f"{{ nodes {{ edges {{ node {{ {often} }} }} }} }}")

    assert {error["extensions"]["code"] for error in answer.json()["errors"]} == {COSTLY}


async def a_node(api: ApiUnderTest, title: str, **fields: Any) -> str:
    """Create a node and return its id."""
    texts = {"en": {"title": title}}
    node = await api.rustok.run("content.nodes.create", api.tenant_id, kind="faq", translations=texts, **fields)
    return str(node.id)


async def test_a_mutation_whose_answer_is_too_large_is_done_and_found_again_by_its_key(api: ApiUnderTest) -> None:
    texts = [{"locale": locale, "title": locale, "description": "x" * 100_000} for locale in ("de", "en", "fr", "ru")]
    document = """mutation ($texts: [CommerceTranslationInput!]!) {
        createProduct(input: {translations: $texts}, idempotencyKey: "a key") { id translations { %s } } }"""

    refused = await post(api, document % TEXTS, texts=texts)
    again = await data(api, document % "locale", texts=texts)

    assert fault(refused)["code"] == COSTLY
    found = await data(api, "{ products { edges { node { id } } } }")
    assert found["products"]["edges"] == [{"node": {"id": again["createProduct"]["id"]}}]


async def test_once_an_answer_is_too_large_no_other_mutation_is_run(api: ApiUnderTest) -> None:
    """So that of none that was done the id is missing but of the one that was too large."""
    texts = [{"locale": locale, "title": locale, "description": "x" * 100_000} for locale in ("de", "en", "fr", "ru")]
    document = f"""mutation ($texts: [CommerceTranslationInput!]!) {{
        before: createProduct(input: {{translations: [{{locale: "en", title: "Before"}}]}}) {{ id }}
        large: createProduct(input: {{translations: $texts}}, idempotencyKey: "a key") {{ translations {{ {LESS} }} }}
        after: createProduct(input: {{translations: [{{locale: "en", title: "After"}}]}}) {{ id }}
        last: createProduct(input: {{translations: [{{locale: "en", title: "Last"}}]}}) {{ id }} }}"""

    answer = (await post(api, document, texts=texts)).json()

    before = answer["data"]["before"]["id"]
    assert answer["data"] == {"before": {"id": before}, "large": None, "after": None, "last": None}
    assert [(error["path"][0], error["extensions"]["code"]) for error in answer["errors"]] == [
        ("large", COSTLY),
        ("after", "graphql_not_run"),
        ("last", "graphql_not_run"),
    ]
    found = await data(api, "{ products { edges { node { id translations { title } } } } }")
    titles = {edge["node"]["id"]: len(edge["node"]["translations"]) for edge in found["products"]["edges"]}
    assert titles.pop(before) == 1
    assert list(titles.values()) == [4]
