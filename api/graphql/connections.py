"""Pages as Relay has them: connections with edges, whose cursors are those of REST."""

from collections.abc import Mapping
from functools import partial
from typing import Any

from graphql import GraphQLBoolean, GraphQLList, GraphQLNonNull, GraphQLObjectType, GraphQLString
from pydantic import BaseModel

from api.graphql.annotations import item_of, read
from api.graphql.plain import PlainField
from rustok.kernel.module import PageLinks, Result

EDGES = "edges"
_PAGE = {"data", "page"}


class Connection:
    """A page of a list, read as a connection."""

    def __init__(self, result: Result) -> None:
        self._page: PageLinks = vars(result)["page"]
        self._nodes: list[Mapping[str, Any]] = result.model_dump(mode="json", include={"data"})["data"]

    @property
    def edges(self) -> list[Mapping[str, Any]]:
        return [{"node": node, "cursor": partial(self._page.behind, row)} for row, node in enumerate(self._nodes)]

    @property
    def page_info(self) -> Mapping[str, Any]:
        return {
            "hasNextPage": self._page.next is not None,
            "hasPreviousPage": self._page.prev is not None,
            "startCursor": self._page.behind(0) if self._nodes else None,
            "endCursor": self._page.behind(-1) if self._nodes else None,
        }


def listed(result: type[BaseModel]) -> type[BaseModel] | None:
    """Return the model that a page is of; None where *result* is no page."""
    fields = result.model_fields
    return item_of(read(fields["data"].annotation).kind) if fields.keys() == _PAGE else None


_PAGE_INFO = GraphQLObjectType(
    "PageInfo",
    {
        "hasNextPage": PlainField(GraphQLNonNull(GraphQLBoolean), lambda page: page["hasNextPage"]),
        "hasPreviousPage": PlainField(GraphQLNonNull(GraphQLBoolean), lambda page: page["hasPreviousPage"]),
        "startCursor": PlainField(GraphQLString, lambda page: page["startCursor"]),
        "endCursor": PlainField(GraphQLString, lambda page: page["endCursor"]),
    },
    description="Where a list goes on: `after: endCursor`, while there is a next page.",
)


def connection_of(item: GraphQLObjectType) -> GraphQLObjectType:
    """Return the type of a page of *item*."""
    edge = GraphQLObjectType(
        f"{item.name}Edge",
        {
            "node": PlainField(GraphQLNonNull(item), lambda edge: edge["node"]),
            "cursor": PlainField(
                GraphQLNonNull(GraphQLString),
                lambda edge: edge["cursor"](),
                description="What `after` takes, for what follows this one.",
            ),
        },
    )
    edges = GraphQLNonNull(GraphQLList(GraphQLNonNull(edge)))
    return GraphQLObjectType(
        f"{item.name}Connection",
        {
            EDGES: PlainField(edges, lambda page: page.edges),
            "pageInfo": PlainField(GraphQLNonNull(_PAGE_INFO), lambda page: page.page_info),
        },
    )
