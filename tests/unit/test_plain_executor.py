"""The executor of GraphQL: what only reads what is there costs no execution of its own."""

from types import SimpleNamespace
from typing import Any

import orjson
import pytest
from graphql import (
    ExecutionResult,
    GraphQLField,
    GraphQLList,
    GraphQLObjectType,
    GraphQLScalarType,
    GraphQLSchema,
    GraphQLString,
    execute,
    parse,
)

from api.graphql.errors import DocumentTooCostly
from api.graphql.meter import MOST_BYTES, Meter
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

    answer = answer_of(SCHEMA, "{ lamps { name: __typename colour } }", Watched)

    assert answer == ({"lamps": [{"name": "Lamp", "colour": "red"}] * 3}, None)
    assert executed == []


@pytest.mark.parametrize("thing", [[], {}, "", 2**62, None, "\u044f"], ids=repr)
def test_an_answer_is_read_until_its_json_has_more_bytes_than_allowed(thing: Any) -> None:
    """Whatever the JSON is of, brackets and commas as well."""
    notes = [thing] * 100_000
    read: list[Any] = []

    def noted(lamp: Any) -> Any:
        read.append(lamp)
        return notes

    lamp = GraphQLObjectType("Lamp", {"notes": PlainField(GraphQLScalarType("JSON"), noted)})
    shop = GraphQLObjectType("Shop", {"lamps": PlainField(GraphQLList(lamp), lambda _shop: list(range(100)))})
    query = GraphQLObjectType("Query", {"shop": GraphQLField(shop, resolve=lambda _root, _info: {})})

    data, errors = answer_of(GraphQLSchema(query), "{ shop { lamps { notes } } }")

    assert data == {"shop": None}
    assert [type(error.original_error) for error in errors or ()] == [DocumentTooCostly]
    assert len(read) == MOST_BYTES // len(orjson.dumps({"notes": notes})) + 1


def answer_of(
    schema: GraphQLSchema, document: str, executor_class: type[PlainExecutor] = PlainExecutor
) -> ExecutionResult:
    """Return what *document* is answered, none of whose fields is awaited."""
    answer = execute(
        schema, parse(document), context_value=SimpleNamespace(meter=Meter()), executor_class=executor_class
    )
    assert isinstance(answer, ExecutionResult)
    return answer
