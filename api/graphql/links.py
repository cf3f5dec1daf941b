"""Fields that lead from one thing to another, by an id that it has."""

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from graphql import GraphQLField, GraphQLResolveInfo

from api.graphql.connections import listed
from api.graphql.outputs import Outputs
from api.graphql.session import Session
from rustok.kernel.module import Query
from rustok.kernel.registry import Registry


class Link(NamedTuple):
    """`field` of each of `types` is what `query`, a list that takes `ids`, finds under the id in `by`."""

    types: Sequence[str]
    field: str
    by: str
    query: str
    description: str


LINKS = (
    Link(("Node", "NodeWithBodies"), "parent", "parent_id", "content.nodes.list", "The node that this one is below."),
    Link(("ProductHit",), "product", "product_id", "commerce.products.list", "The product that was found."),
    Link(("ContentHit",), "node", "node_id", "content.nodes.list", "The node that was found; null for a post."),
)


def add_links(registry: Registry, outputs: Outputs) -> None:
    """Give the types their links, those whose query is in this build."""
    for link in LINKS:
        query = registry.queries.get(link.query)
        item = listed(query.result) if query else None
        if query and item:
            field = GraphQLField(
                outputs.of(item, registry.module_of(query.name).name),
                resolve=_resolver(query, link.by),
                description=link.description,
            )
            for name in link.types:
                outputs.add(name, link.field, field)


def _resolver(query: Query, by: str) -> Any:
    async def resolve(source: Mapping[str, Any], info: GraphQLResolveInfo[Session]) -> Any:
        return None if source[by] is None else await info.context.load(query, source[by])

    return resolve
