"""Fields that only read what is there, and an executor that reads whole trees of them.

A result is valid already, and in JSON's form: to ask of each of its values whether it must be awaited, is null or can
be serialized takes longer than the query that has found them.
"""

from collections.abc import Awaitable, Callable, Sequence
from typing import Any, NamedTuple

from graphql import GraphQLField, GraphQLObjectType, GraphQLOutputType, get_named_type
from graphql.execution import Executor

from api.graphql.meter import Meter

Reader = Callable[[Any], Any]
Fields = dict[str, Any]
"""Fields of a selection by their names in the answer, as graphql-core collects them."""


class PlainField(GraphQLField):
    """`read` returns the value as the answer has it; of an object, or a list of them, what its own fields read from."""

    def __init__(
        self,
        type_: GraphQLOutputType,
        read: Reader,
        *,
        description: str | None = None,
        deprecation_reason: str | None = None,
    ) -> None:
        super().__init__(
            type_,
            resolve=lambda source, _info: read(source),
            description=description,
            deprecation_reason=deprecation_reason,
        )
        self.read = read


class _Plan(NamedTuple):
    """How a selection is read, and what of it is to be executed."""

    readers: Sequence[tuple[str, Reader]]
    others: Fields


class PlainExecutor(Executor[Any]):
    """Executes one operation, as long as its answer does not become too large by the `meter` of its context."""

    def __init__(self, *arguments: Any, **named: Any) -> None:
        super().__init__(*arguments, **named)
        self._meter: Meter = self.context_value.meter
        self._plans: dict[int, tuple[Fields, _Plan]] = {}

    def execute_fields(
        self,
        parent_type: GraphQLObjectType,
        source_value: Any,
        path: Any,
        grouped_field_set: Any,
        position_context: Any,
    ) -> Any:
        plan = self._plan(parent_type, grouped_field_set)
        self._meter.count(len(grouped_field_set))
        values = {name: read(source_value) for name, read in plan.readers}
        if not plan.others:
            return values
        values = {**dict.fromkeys(grouped_field_set), **values}  # in the order of the document
        found = super().execute_fields(parent_type, source_value, path, plan.others, position_context)
        return values | found if isinstance(found, dict) else _awaited(values, found)

    def _plan(self, parent_type: GraphQLObjectType, fields: Fields) -> _Plan:
        """Return the plan of a selection, made once: each item of a list has the same one."""
        if id(fields) not in self._plans:
            readers = {name: self._reader(name, parent_type, details) for name, details in fields.items()}
            plan = _Plan(
                [(name, read) for name, read in readers.items() if read is not None],
                {name: fields[name] for name, read in readers.items() if read is None},
            )
            self._plans[id(fields)] = fields, plan  # as long as the fields are kept, nothing else has their id
        return self._plans[id(fields)][1]

    def _reader(self, name: str, parent_type: GraphQLObjectType, details: Any) -> Reader | None:
        """Return how a field is read with all that is selected of it; None where some of that is to be executed."""
        field_name = details[0].node.name.value
        if field_name == "__typename":
            return _leaf_reader(name, lambda _source: parent_type.name, self._meter)
        field = parent_type.fields.get(field_name)
        if not isinstance(field, PlainField):
            return None
        inner = get_named_type(field.type)
        if not isinstance(inner, GraphQLObjectType):
            return _leaf_reader(name, field.read, self._meter)
        plan = self._plan(inner, self.collect_subfields(inner, details).grouped_field_set)
        return None if plan.others else _tree_reader(field.read, plan.readers, self._meter)


def _leaf_reader(name: str, read: Reader, meter: Meter) -> Reader:
    def read_leaf(source: Any) -> Any:
        found = read(source)
        meter.weigh(name, found)
        return found

    return read_leaf


def _tree_reader(read: Reader, readers: Sequence[tuple[str, Reader]], meter: Meter) -> Reader:
    def read_tree(source: Any) -> Any:
        found = read(source)
        if found is None:
            return None
        if not isinstance(found, list):
            meter.count(len(readers))
            return {name: of(found) for name, of in readers}
        meter.count(len(found) * len(readers))
        return [{name: of(each) for name, of in readers} for each in found]

    return read_tree


async def _awaited(values: dict[str, Any], found: Awaitable[dict[str, Any]]) -> dict[str, Any]:
    return values | await found
