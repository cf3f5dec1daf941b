"""Object types of the results of commands and queries."""

from collections import defaultdict
from collections.abc import Mapping
from typing import Any, Literal, get_origin

from graphql import (
    GraphQLEnumType,
    GraphQLField,
    GraphQLList,
    GraphQLNonNull,
    GraphQLObjectType,
)
from pydantic import BaseModel
from pydantic.fields import FieldInfo

from api.graphql.annotations import is_model, item_of, key_of, read, value_of
from api.graphql.names import camel, doc_of, pascal
from api.graphql.plain import PlainField, Reader
from api.graphql.scalars import Enums, member, scalar


class Outputs:
    """Makes an object type for each model.

    What an operation returns is called as its model is; what is inside that has the name of the module in front.
    """

    def __init__(self, enums: Enums) -> None:
        self._enums = enums
        self._added: defaultdict[str, dict[str, GraphQLField]] = defaultdict(dict)
        self._made: dict[type[BaseModel], GraphQLObjectType] = {}

    def of(self, model: type[BaseModel], module: str) -> GraphQLObjectType:
        """Return the type of what an operation of *module* returns."""
        return self._object(model, model.__name__, module)

    def add(self, name: str, field_name: str, field: GraphQLField) -> None:
        """Give the type called *name* a field beside those of its model, as long as no schema has the type."""
        self._added[name][field_name] = field

    def _object(self, model: type[BaseModel], name: str, module: str, key: str | None = None) -> GraphQLObjectType:
        if model not in self._made:
            fields: dict[str, GraphQLField] = {
                camel(field): self._field(field, info, name, module) for field, info in model.model_fields.items()
            }
            if key is not None:
                fields = {key: PlainField(GraphQLNonNull(scalar(str)), _reader(key)), **fields}
            self._made[model] = GraphQLObjectType(
                name, lambda: {**fields, **self._added[name]}, description=doc_of(model)
            )
        return self._made[model]

    def _field(self, name: str, info: FieldInfo, owner: str, module: str) -> GraphQLField:
        kind, is_nullable = read(info.annotation)
        type_, reader = self._read(name, kind, owner, module)
        return PlainField(
            type_ if is_nullable else GraphQLNonNull(type_), reader, deprecation_reason=info.deprecation_message
        )

    def _read(self, name: str, kind: Any, owner: str, module: str) -> tuple[Any, Reader]:
        """Return the type of what is not null, and how it is read."""
        if entry := value_of(kind):
            key = key_of(name)
            return _list_of(self._inner(entry, module, key)), _entries_reader(name, key)
        if is_model(kind):
            return self._inner(kind, module), _reader(name)
        item = item_of(kind)
        if is_model(item):
            return _list_of(self._inner(item, module)), _reader(name)
        leaf = self._leaf(item or kind, f"{owner}{pascal(name)}")
        read_value = _member_reader(name) if isinstance(leaf, GraphQLEnumType) else _reader(name)
        return _list_of(leaf) if item else leaf, read_value

    def _inner(self, model: type[BaseModel], module: str, key: str | None = None) -> GraphQLObjectType:
        return self._object(model, f"{pascal(module)}{model.__name__}", module, key)

    def _leaf(self, kind: Any, name: str) -> Any:
        return self._enums.of(kind, name) if get_origin(kind) is Literal else scalar(kind)


def _list_of(type_: Any) -> GraphQLList[Any]:
    return GraphQLList(GraphQLNonNull(type_))


def _reader(name: str) -> Reader:
    return lambda source: source[name]


def _member_reader(name: str) -> Reader:
    return lambda source: None if source[name] is None else member(source[name])


def _entries_reader(name: str, key: str) -> Reader:
    def entries(source: Mapping[str, Any]) -> list[Mapping[str, Any]]:
        return [{key: value, **entry} for value, entry in sorted(source[name].items())]

    return entries
