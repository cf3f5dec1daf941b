"""Mutations: the commands of REST, with versions and idempotency keys as arguments."""

from typing import Any

import pytest

from rustok.testing import PlatformUnderTest
from tests.integration.api.graphql.support import PATH, data, fault, post
from tests.integration.api.support import PRODUCTS, ApiUnderTest, assert_problem, bearer

CREATE = """mutation ($input: CreateProductInput!, $key: String) {
    createProduct(input: $input, idempotencyKey: $key) { id version status translations { locale title } } }"""
UPDATE = """mutation ($input: UpdateProductInput!, $version: SafeInt!) {
    updateProduct(input: $input, expectedVersion: $version) { version vendor tags } }"""


def a_product(title: str = "Red bicycle") -> dict[str, Any]:
    return {"translations": [{"locale": "en", "title": title}]}


async def test_a_product_lives_its_life(api: ApiUnderTest) -> None:
    """Created, changed, priced, published, withdrawn, deleted."""
    sold = {"sku": "S", "prices": [{"currency": "EUR", "amount": 100}, {"currency": "USD", "amount": 120}]}
    created = (await data(api, CREATE, input={**a_product(), "variants": [sold], "status": "DRAFT"}))["createProduct"]
    product: dict[str, Any] = {"productId": created["id"]}

    updated = await data(api, UPDATE, input={**product, "vendor": "Acme"}, version=created["version"])
    published = await data(
        api, "mutation ($input: PublishProductInput!) { publishProduct(input: $input) { status } }", input=product
    )
    withdrawn = await data(
        api,
        "mutation ($input: UnpublishProductInput!) { unpublishProduct(input: $input) { version status } }",
        input=product,
    )
    deleted = await data(
        api,
        """mutation ($input: DeleteProductInput!, $version: SafeInt!) {
             deleteProduct(input: $input, expectedVersion: $version) { id } }""",
        input=product,
        version=withdrawn["unpublishProduct"]["version"],
    )

    assert created["translations"] == [{"locale": "en", "title": "Red bicycle"}]
    assert updated["updateProduct"] == {"version": created["version"] + 1, "vendor": "Acme", "tags": []}
    assert published["publishProduct"]["status"] == "ACTIVE"
    assert withdrawn["unpublishProduct"]["status"] == "DRAFT"
    assert deleted["deleteProduct"]["id"] == created["id"]
    assert (await api.client.get(f"{PRODUCTS}/{created['id']}")).status_code == 404


async def test_a_patch_changes_what_it_names(api: ApiUnderTest) -> None:
    """What is null gets what a new product has; what is left out stays."""
    product = await api.create(vendor="Acme", tags=["city"])

    updated = await data(api, UPDATE, input={"productId": product["id"], "vendor": None}, version=product["version"])

    assert updated["updateProduct"] == {"version": product["version"] + 1, "vendor": None, "tags": ["city"]}


async def test_another_version_is_not_changed(api: ApiUnderTest) -> None:
    product = await api.create()

    late = await post(api, UPDATE, input={"productId": product["id"], "vendor": "Acme"}, version=product["version"] + 1)
    none = await post(api, UPDATE, input={"productId": product["id"], "vendor": "Acme"}, version=0)
    unsaid = await post(api, UPDATE, input={"productId": product["id"], "vendor": "Acme"})

    assert fault(late)["code"] == "version_mismatch"
    assert [each["pointer"] for each in fault(none)["violations"]] == ["#/expectedVersion"]
    assert (unsaid.status_code, fault(unsaid)["code"]) == (400, "graphql_invalid")
    assert (await api.client.get(f"{PRODUCTS}/{product['id']}")).json() == product


async def test_a_repeated_mutation_changes_nothing_and_finds_the_same(api: ApiUnderTest) -> None:
    first = await data(api, CREATE, input=a_product(), key="a key")
    again = await data(api, CREATE, input=a_product(), key="a key")
    other = await post(api, CREATE, input=a_product("Blue bicycle"), key="a key")
    odd = await post(api, CREATE, input=a_product(), key="ключ")

    assert first == again
    assert fault(other)["code"] == "idempotency_key_reused"
    assert [each["pointer"] for each in fault(odd)["violations"]] == ["#/idempotencyKey"]
    assert len((await api.client.get(PRODUCTS)).json()["data"]) == 1


async def test_each_mutation_of_a_document_has_a_key_of_its_own(api: ApiUnderTest) -> None:
    """A document that has failed half-way is sent again as it was, and done to its end."""
    document = """mutation ($one: CreateProductInput!, $two: CreateProductInput!) {
        one: createProduct(input: $one, idempotencyKey: "1") { id }
        two: createProduct(input: $two, idempotencyKey: "2") { id } }"""
    taken = await api.create()
    two = {"translations": [{"locale": "en", "title": "Two", "handle": "bike"}]}

    first = (await post(api, document, one=a_product("One"), two=two)).json()
    version = {"If-Match": f'"{taken["version"]}"'}
    assert (await api.client.delete(f"{PRODUCTS}/{taken['id']}", headers=version)).is_success
    again = (await post(api, document, one=a_product("One"), two=two)).json()

    assert (first["data"]["two"], first["errors"][0]["extensions"]["code"]) == (None, "duplicate_handle")
    assert again["data"]["one"] == first["data"]["one"]
    assert again["data"]["two"]
    assert len((await api.client.get(PRODUCTS)).json()["data"]) == 2


async def test_the_header_with_a_key_is_refused(api: ApiUnderTest) -> None:
    """It would not say which mutation it is for."""
    answer = await post(api, CREATE, {"Idempotency-Key": "a key"}, input=a_product())

    assert_problem(answer, 400, "invalid_header")
    assert (await api.client.get(PRODUCTS)).json()["data"] == []


async def test_faults_are_named_where_they_are_in_the_input(api: ApiUnderTest) -> None:
    """Entries of what is a map in REST are named by their keys there."""
    wrong = {"translations": [{"locale": "en", "title": "x", "metaTitle": "x" * 256}]}

    told = fault(await post(api, CREATE, input=wrong))

    assert told["code"] == "invalid_input"
    assert told["violations"] == [
        {
            "pointer": "#/input/translations/en/metaTitle",
            "code": "string_too_long",
            "detail": "String should have at most 255 characters",
        }
    ]


@pytest.mark.parametrize(
    ("wrong", "pointer"),
    [
        ({"translations": [{"locale": "EN_us", "title": "x"}]}, "#/input/translations/EN_us"),
        ({"variants": [{"prices": [{"currency": "a_b", "amount": 1}]}]}, "#/input/variants/0/prices/a_b"),
        ({"variants": [{"weightG": -1}]}, "#/input/variants/0/weightG"),
    ],
    ids=["a locale", "a currency", "a field"],
)
async def test_a_place_has_fields_in_graphqls_names_and_data_as_it_was_sent(
    api: ApiUnderTest, wrong: dict[str, Any], pointer: str
) -> None:
    told = fault(await post(api, CREATE, input=a_product() | wrong))

    assert [each["pointer"] for each in told["violations"]] == [pointer]


async def test_two_entries_with_one_key_are_refused(api: ApiUnderTest) -> None:
    twice = {"translations": [{"locale": "en", "title": "One"}, {"locale": "en", "title": "Two"}]}

    told = fault(await post(api, CREATE, input=twice))

    assert [(each["pointer"], each["code"]) for each in told["violations"]] == [
        ("#/input/translations/1/locale", "repeated_key")
    ]


async def test_a_read_waits_for_the_writes_of_a_document(api: ApiUnderTest) -> None:
    """Each has a token; all of them fit into the header of a read."""
    document = """mutation ($one: CreateProductInput!, $two: CreateProductInput!) {
        one: createProduct(input: $one) { id } two: createProduct(input: $two) { id } }"""
    active = {"status": "ACTIVE"}
    written = await post(api, document, one=a_product("One") | active, two=a_product("Two") | active)
    tokens = {"RusToK-Consistency": written.headers["RusToK-Consistency"]}
    search = '{ searchProducts(locale: "en") { edges { node { title } } } }'

    stale = await post(api, search, tokens)
    strict = await post(api, search, tokens | {"Prefer": "handling=strict"})
    await api.rustok.settle()
    fresh = await post(api, search, tokens)

    assert len(tokens["RusToK-Consistency"].split(", ")) == 2
    assert stale.headers["RusToK-Freshness"].startswith("stale; lag=")
    assert_problem(strict, 503, "projection_lagging")
    assert fresh.headers["RusToK-Freshness"] == "fresh"
    assert len(fresh.json()["data"]["searchProducts"]["edges"]) == 2


async def test_who_lacks_the_permission_is_told_so_by_field(api: ApiUnderTest) -> None:
    customer = bearer(await api.new_key(role="customer"))

    refused = await post(api, CREATE, customer, input=a_product())
    read = await post(api, "{ products { edges { cursor } } }", customer)

    assert [fault(refused)["code"], fault(read)["code"]] == ["permission_denied"] * 2
    assert (await api.client.get(PRODUCTS)).json()["data"] == []


async def test_content_and_posts_are_written_too(api: ApiUnderTest) -> None:
    texts = {
        "translations": [{"locale": "en", "title": "Hello"}],
        "bodies": [{"locale": "en", "body": "# Hello", "format": "MARKDOWN"}],
    }
    made = await data(
        api,
        """mutation ($node: CreateNodeInput!, $post: CreatePostInput!) {
             createNode(input: $node) { id kind } createPost(input: $post) { id } }""",
        node={**texts, "kind": "faq"},
        post=texts,
    )

    found = await data(
        api,
        """query ($node: ID!, $post: ID!) {
             node(nodeId: $node) { bodies { locale body format } } post(postId: $post) { status bodies { body } } }""",
        node=made["createNode"]["id"],
        post=made["createPost"]["id"],
    )

    assert found["node"]["bodies"] == [{"locale": "en", "body": "# Hello", "format": "MARKDOWN"}]
    assert found["post"] == {"status": "DRAFT", "bodies": [{"body": "# Hello"}]}


async def test_a_module_that_is_off_is_off_here_too(api: ApiUnderTest, rustok: PlatformUnderTest) -> None:
    await rustok.run("tenants.modules.switch", api.tenant_id, module="commerce", is_enabled=False)

    answer = await api.client.post(PATH, json={"query": "{ products { edges { cursor } } }"})

    assert fault(answer)["code"] == "module_off"
