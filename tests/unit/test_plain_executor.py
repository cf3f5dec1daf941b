"""The executor of GraphQL: what only reads what is there costs no execution of its own."""

from typing import Any

from graphql import GraphQLList, GraphQLObjectType, GraphQLSchema, GraphQLString, execute, parse

from api.graphql.plain import PlainExecutor, PlainField

LAMP = GraphQLObjectType("Lamp", {"colour": PlainField(GraphQLString, lambda lamp: lamp["colour"])})
SCHEMA = GraphQLSchema(
    GraphQLObjectType("Query", {"lamps": PlainField(GraphQLList(LAMP), lambda _root: [{"colour": "red"}] * 3)})
)


def test_a_page_of_plain_fields_is_read_as_a_whole() -> None:
    """With the names of types, which some clients ask for everywhere."""
    executed: list[Any] = []

    class Watched(PlainExecutor):
        def execute_field(self, *arguments: Any, **named: Any) -> Any:
            executed.append(arguments)
            return super().execute_field(*arguments, **named)

    answer = execute(SCHEMA, parse("{ lamps { name: __typename colour } }"), executor_class=Watched)

    assert answer == ({"lamps": [{"name": "Lamp", "colour": "red"}] * 3}, None)
    assert executed == []
