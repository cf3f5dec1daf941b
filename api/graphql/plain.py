"""Fields that only read what is there, and an executor that reads them all at once.

A result is valid already, and in JSON's form: to ask of each of its values whether it must be awaited, is null or can
be serialized takes longer than the query that has found them.
"""

from collections.abc import Awaitable, Callable, Mapping
from typing import Any

from graphql import GraphQLField, GraphQLObjectType, GraphQLOutputType
from graphql.execution import Executor

Source = Mapping[str, Any]
Reader = Callable[[Source], Any]


class PlainField(GraphQLField):
    """`read` returns the value as the answer has it, from a result in JSON's form."""

    def __init__(self, type_: GraphQLOutputType, read: Reader, description: str | None = None) -> None:
        super().__init__(type_, resolve=lambda source, _info: read(source), description=description)
        self.read = read


class PlainExecutor(Executor[Any]):
    def execute_fields(
        self,
        parent_type: GraphQLObjectType,
        source_value: Any,
        path: Any,
        grouped_field_set: Any,
        position_context: Any,
    ) -> Any:
        values: dict[str, Any] = {}
        others = {}
        for name, details in grouped_field_set.items():
            field = parent_type.fields.get(details[0].node.name.value)
            if isinstance(field, PlainField):
                values[name] = field.read(source_value)
            else:
                values[name] = None
                others[name] = details
        if not others:
            return values
        found = super().execute_fields(parent_type, source_value, path, others, position_context)
        return values | found if isinstance(found, dict) else _awaited(values, found)


async def _awaited(values: dict[str, Any], found: Awaitable[dict[str, Any]]) -> dict[str, Any]:
    return values | await found
