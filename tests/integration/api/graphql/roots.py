"""Every root field as a request about somebody's possessions."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from graphql import GraphQLEnumType, GraphQLField, GraphQLInputObjectType, GraphQLObjectType, get_named_type

from api.graphql.names import camel
from api.graphql.roots import OPERATION
from rustok.kernel.module import Command, Query
from tests.integration.api.graphql.refresh_schema import schema
from tests.integration.api.possessions import Possessions

_SCHEMA = schema()
assert _SCHEMA.query_type
assert _SCHEMA.mutation_type


@dataclass(frozen=True, slots=True)
class Root:
    """A field of Query or Mutation."""

    kind: str
    name: str
    field: GraphQLField

    @property
    def operation(self) -> Command | Query:
        operation: Command | Query = self.field.extensions[OPERATION]
        return operation

    @property
    def selection(self) -> str:
        """All that this field has, links left out."""
        return " ".join(_leaves(get_named_type(self.field.type)))

    def arguments(self, about: Possessions) -> dict[str, Any]:
        """Return the example of its operation, about these possessions."""
        example = {name: about.names.get(name, value) for name, value in self.operation.input.example.items()}
        if isinstance(self.operation, Query):
            return {name: value for name, value in example.items() if camel(name) in self.field.args}
        version = about.versions.get(next(iter(example)), 1)
        input_type = get_named_type(self.field.args["input"].type)
        return {"input": _as_lists(input_type, example)} | (
            {"expectedVersion": version} if "expectedVersion" in self.field.args else {}
        )

    def request(self, about: Possessions) -> dict[str, Any]:
        """Return a document that asks for all that this field has, with its variables."""
        values = {camel(name): value for name, value in self.arguments(about).items()}
        heads = ", ".join(f"${name}: {self.field.args[name].type}" for name in values)
        given = ", ".join(f"{name}: ${name}" for name in values)
        document = f"{self.kind} ({heads}) {{ {self.name}({given}) {{ {self.selection} }} }}"
        return {"query": document if values else f"{{ {self.name} {{ {self.selection} }} }}", "variables": values}


def _as_lists(type_: Any, fields: Mapping[str, Any]) -> dict[str, Any]:
    """Return *fields* as GraphQL takes them: maps as lists."""
    return {
        camel(name): _as_list(get_named_type(type_.fields[camel(name)].type), value) for name, value in fields.items()
    }


def _as_list(type_: Any, value: Any) -> Any:
    if isinstance(type_, GraphQLEnumType):
        return value.upper()
    if not isinstance(type_, GraphQLInputObjectType):
        return value
    if isinstance(value, list):
        return [_as_lists(type_, each) for each in value]
    key = next(iter(type_.fields))
    return [{key: each, **_as_lists(type_, entry)} for each, entry in value.items()]


def _leaves(type_: Any, inside: tuple[str, ...] = ()) -> list[str]:
    """Return a selection of all that a type has, links left out."""
    found = []
    for name, field in type_.fields.items():
        inner = get_named_type(field.type)
        is_link = name in ("parent", "product") or (name == "node" and inside[-1:] != ("edges",))
        if not isinstance(inner, GraphQLObjectType):
            found.append(name)
        elif not is_link:
            found.append(f"{name} {{ {' '.join(_leaves(inner, (*inside, name)))} }}")
    return found


ROOTS = [
    *(Root("query", name, field) for name, field in _SCHEMA.query_type.fields.items()),
    *(Root("mutation", name, field) for name, field in _SCHEMA.mutation_type.fields.items()),
]
