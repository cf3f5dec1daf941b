"""Links between things: one query a level, however many there are."""

from collections.abc import AsyncIterator, Callable
from functools import partial
from typing import Any, ClassVar

import asyncpg
import pytest
from asyncpg.prepared_stmt import PreparedStatement

from rustok.db.engine import open_engine
from rustok.testing import PlatformUnderTest
from tests.connections import connections_chosen
from tests.integration.api.graphql.support import data, fault, post
from tests.integration.api.support import ApiUnderTest, bearer

TREE = """query ($leaves: [ID!]) { nodes(ids: $leaves) { edges { node {
    translations { title } parent { translations { title } parent { translations { title } } } } } } }"""


class Heard(asyncpg.Connection):  # type: ignore[misc] # asyncpg ships no types
    """What is asked by it is in `statements`, once a time."""

    statements: ClassVar[list[str]]

    async def prepare(self, query: str, **options: Any) -> "HeardStatement":
        return HeardStatement(await super().prepare(query, **options), partial(self.statements.append, query))


class HeardStatement:
    """A prepared statement of such a connection."""

    def __init__(self, statement: PreparedStatement, tell: Callable[[], None]) -> None:
        self._statement = statement
        self._tell = tell

    async def fetch(self, *arguments: Any, **options: Any) -> Any:
        self._tell()
        return await self._statement.fetch(*arguments, **options)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._statement, name)


@pytest.fixture
def statements() -> list[str]:
    return []


@pytest.fixture
async def api(rustok: PlatformUnderTest, statements: list[str]) -> AsyncIterator[ApiUnderTest]:
    """The API; what it asks PostgreSQL is in *statements*."""
    heard = type("Heard", (Heard,), {"statements": statements})
    async with open_engine(rustok.database.app_url) as engine:
        with connections_chosen(lambda parameters: heard if parameters["user"] == "rustok_app" else None):
            async with ApiUnderTest.open(rustok, engine=engine) as api:
                yield api


async def leaves_of_trees(api: ApiUnderTest, families: int) -> list[str]:
    """Make so many chains of three nodes; return the lowest."""
    leaves = []
    for family in range(families):
        above: str | None = None
        for level in ("a", "b", "c"):
            title = {"en": {"title": f"{level}{family}"}}
            node = await api.rustok.run(
                "content.nodes.create", api.tenant_id, kind="faq", translations=title, parent_id=above
            )
            above = str(node.id)
        leaves.append(str(above))
    return leaves


@pytest.mark.parametrize("families", [1, 7])
async def test_a_level_is_one_query(api: ApiUnderTest, statements: list[str], families: int) -> None:
    leaves = await leaves_of_trees(api, families)
    statements.clear()

    found = await data(api, TREE, leaves=leaves)

    assert len([statement for statement in statements if "FROM nodes" in statement]) == 3
    chains = {_titles(edge["node"]) for edge in found["nodes"]["edges"]}
    assert chains == {(f"c{family}", f"b{family}", f"a{family}") for family in range(families)}


async def test_what_was_found_is_not_asked_for_again(api: ApiUnderTest, statements: list[str]) -> None:
    """The parents of parents are among the parents of all."""
    await leaves_of_trees(api, 2)
    statements.clear()

    await data(api, TREE)

    assert len([statement for statement in statements if "FROM nodes" in statement]) == 2


@pytest.mark.parametrize("products", [1, 7])
async def test_hits_and_their_products_are_two_queries(api: ApiUnderTest, statements: list[str], products: int) -> None:
    """Whatever a product has comes with it."""
    sold = [{"sku": None, "prices": {"EUR": {"amount": 100}}}]
    for number in range(products):
        await api.create(status="active", variants=sold, translations={"en": {"title": f"Bike {number}"}})
    await api.rustok.settle()
    statements.clear()

    found = await data(
        api,
        """{ searchProducts(locale: "en", q: "bike") { edges { node { title product {
             translations { title } variants { prices { amount } } } } } } }""",
    )

    hits = [edge["node"] for edge in found["searchProducts"]["edges"]]
    assert len(hits) == products
    assert all(hit["product"]["translations"] == [{"title": hit["title"]}] for hit in hits)
    assert len([each for each in statements if "FROM products" in each or "search_products" in each]) == 2


async def test_a_link_needs_the_permission_of_its_query(api: ApiUnderTest) -> None:
    """Who may search need not see the product itself."""
    await api.create(status="active")
    await api.rustok.settle()
    customer = bearer(await api.new_key(role="customer"))

    answer = await post(api, '{ searchProducts(locale: "en") { edges { node { title product { id } } } } }', customer)

    assert answer.json()["data"]["searchProducts"]["edges"] == [{"node": {"title": "Red bicycle", "product": None}}]
    assert fault(answer)["code"] == "permission_denied"


def _titles(node: Any) -> tuple[str, ...]:
    return () if node is None else (node["translations"][0]["title"], *_titles(node.get("parent")))


async def test_what_a_mutation_has_changed_is_read_anew(api: ApiUnderTest) -> None:
    """By those behind it in the document, which may have read it before."""
    body = {"kind": "faq", "translations": {"en": {"title": "Parent"}}}
    parent = (await api.client.post("/api/v1/content/nodes", json=body)).json()["id"]
    leaves = [
        (
            await api.client.post(
                "/api/v1/content/nodes",
                json={"kind": "faq", "translations": {"en": {"title": f"Leaf {number}"}}, "parent_id": parent},
            )
        ).json()["id"]
        for number in range(2)
    ]
    document = """mutation ($a: ID!, $b: ID!, $parent: ID!) {
        first: updateNode(input: {nodeId: $a, tags: ["a"]}, expectedVersion: 1) { parent { version } }
        updateNode(input: {nodeId: $parent, tags: ["new"]}, expectedVersion: 1) { version }
        last: updateNode(input: {nodeId: $b, tags: ["b"]}, expectedVersion: 1) { parent { version tags } }
    }"""

    found = await data(api, document, a=leaves[0], b=leaves[1], parent=parent)

    assert found["first"]["parent"]["version"] == 1
    assert found["last"]["parent"] == {"version": 2, "tags": ["new"]}
