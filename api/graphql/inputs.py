"""Input types of commands, and arguments of queries."""

from typing import Any, Literal, get_origin

from graphql import (
    GraphQLArgument,
    GraphQLDefaultInput,
    GraphQLInputField,
    GraphQLInputObjectType,
    GraphQLInt,
    GraphQLList,
    GraphQLNonNull,
)
from pydantic import BaseModel
from pydantic.fields import FieldInfo

from api.graphql.annotations import is_model, item_of, key_of, read, value_of
from api.graphql.names import camel, doc_of, pascal
from api.graphql.scalars import Enums, member, scalar

_CALLED = {"limit": "first"}
"""Arguments that Relay calls otherwise than the fields that they stand for."""


class Inputs:
    """Makes an input type for each model.

    That of a command is called after its root field, `CreateProductInput`; what is inside that has the name of the
    module in front.
    """

    def __init__(self, enums: Enums) -> None:
        self._enums = enums
        self._made: dict[type[BaseModel], GraphQLInputObjectType] = {}

    def of(self, model: type[BaseModel], root: str, module: str) -> GraphQLInputObjectType:
        """Return the type of what the command with the field *root* takes."""
        owner = pascal(root)
        return GraphQLInputObjectType(f"{owner}Input", self._fields(model, owner, module), description=doc_of(model))

    def arguments(self, model: type[BaseModel], root: str, module: str) -> dict[str, GraphQLArgument]:
        """Return the arguments of the query with the field *root*, which hand on the fields of *model*."""
        return {
            argument_of(name): GraphQLArgument(
                GraphQLNonNull(GraphQLInt) if name in _CALLED else self._type(name, info, pascal(root), module),
                default=_default(info),
                deprecation_reason=info.deprecation_message,
                out_name=name,
            )
            for name, info in model.model_fields.items()
        }

    def _inner(self, model: type[BaseModel], module: str, key: str | None = None) -> GraphQLInputObjectType:
        """Return the type of what is inside another input; in a map there it has a field *key*."""
        if model not in self._made:
            owner = f"{pascal(module)}{model.__name__.removesuffix('Input')}"
            more = {} if key is None else {key: GraphQLInputField(GraphQLNonNull(scalar(str)))}
            fields = {**more, **self._fields(model, owner, module)}
            self._made[model] = GraphQLInputObjectType(f"{owner}Input", fields, description=doc_of(model))
        return self._made[model]

    def _fields(self, model: type[BaseModel], owner: str, module: str) -> dict[str, GraphQLInputField]:
        return {
            camel(name): GraphQLInputField(
                self._type(name, info, owner, module),
                default=_default(info),
                deprecation_reason=info.deprecation_message,
            )
            for name, info in model.model_fields.items()
        }

    def _type(self, name: str, info: FieldInfo, owner: str, module: str) -> Any:
        kind, is_nullable = read(info.annotation)
        if entry := value_of(kind):
            made: Any = _list_of(self._inner(entry, module, key_of(name)))
        elif item := item_of(kind):
            made = _list_of(self._named(name, read(item).kind, owner, module))
        else:
            made = self._named(name, kind, owner, module)
        return made if is_nullable else GraphQLNonNull(made)

    def _named(self, name: str, kind: Any, owner: str, module: str) -> Any:
        if is_model(kind):
            return self._inner(kind, module)
        if get_origin(kind) is Literal:
            return self._enums.of(kind, f"{owner}{pascal(name)}")
        return scalar(kind)


def argument_of(field: str) -> str:
    """Return what the argument for a field of a query is called."""
    return _CALLED.get(field, camel(field))


def _list_of(type_: Any) -> GraphQLList[Any]:
    return GraphQLList(GraphQLNonNull(type_))


def _default(info: FieldInfo) -> GraphQLDefaultInput | None:
    if info.is_required() or info.default is None:
        return None
    kind = read(info.annotation).kind
    if get_origin(kind) is Literal:
        return GraphQLDefaultInput(member(info.default))
    return GraphQLDefaultInput([] if value_of(kind) else info.default)
