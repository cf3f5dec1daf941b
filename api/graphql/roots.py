"""The fields of Query and Mutation: each runs one operation, by the Dispatcher, which checks its permission."""

from typing import Any

from graphql import GraphQLArgument, GraphQLField, GraphQLNonNull, GraphQLObjectType, GraphQLResolveInfo, GraphQLString
from pydantic import BaseModel

from api.graphql.connections import Connection, connection_of, listed
from api.graphql.fields import fields_of, placed
from api.graphql.inputs import Inputs, argument_of
from api.graphql.names import root_field
from api.graphql.outputs import Outputs
from api.graphql.scalars import SafeInt
from api.graphql.session import Session
from api.headers import is_idempotency_key
from rustok.dispatch import Call
from rustok.kernel.errors import InvalidInput, RustokError, Violation
from rustok.kernel.module import Command, Query
from rustok.kernel.registry import placeholders

OPERATION = "operation"
"""Where a field says what it runs, among its extensions."""


class Roots:
    """Makes the root field of an operation."""

    def __init__(self, inputs: Inputs, outputs: Outputs) -> None:
        self._inputs = inputs
        self._outputs = outputs
        self._connections: dict[type[BaseModel], GraphQLObjectType] = {}

    def query(self, query: Query, module: str) -> GraphQLField:
        item = listed(query.result)

        async def resolve(_source: Any, info: GraphQLResolveInfo[Session], **arguments: Any) -> Any:
            try:
                result = await info.context.query(query, arguments)
            except RustokError as error:
                raise placed(error, query.input, called=argument_of) from error
            return Connection(result) if item else result.model_dump(mode="json")

        type_ = self._connection(item, module) if item else self._outputs.of(query.result, module)
        arguments = self._inputs.arguments(query.input, root_field(query), module)
        return _field(query, type_, arguments, resolve)

    def mutation(self, command: Command, module: str) -> GraphQLField:
        async def resolve(_source: Any, info: GraphQLResolveInfo[Session], **arguments: Any) -> Any:
            return await _run(info.context, command, **arguments)

        arguments = {**self._input_argument(command, module), **_version_argument(command), **_KEY_ARGUMENT}
        return _field(command, self._outputs.of(command.result, module), arguments, resolve)

    def _input_argument(self, command: Command, module: str) -> dict[str, GraphQLArgument]:
        if not command.input.model_fields:
            return {}
        input_type = self._inputs.of(command.input, root_field(command), module)
        return {"input": GraphQLArgument(GraphQLNonNull(input_type), out_name="fields")}

    def _connection(self, item: type[BaseModel], module: str) -> GraphQLObjectType:
        if item not in self._connections:
            self._connections[item] = connection_of(self._outputs.of(item, module))
        return self._connections[item]


_KEY_ARGUMENT = {
    "idempotencyKey": GraphQLArgument(
        GraphQLString,
        description="A retry with the same key and arguments finds the first result again, for 24 hours.",
        out_name="key",
    )
}


def _version_argument(command: Command) -> dict[str, GraphQLArgument]:
    if not placeholders(command.route or ""):
        return {}
    type_ = GraphQLNonNull(SafeInt) if command.checks_version else SafeInt
    description = "The version that the caller has seen; another one is not changed."
    return {"expectedVersion": GraphQLArgument(type_, description=description, out_name="version")}


async def _run(
    session: Session, command: Command, *, fields: Any = None, version: int | None = None, key: str | None = None
) -> Any:
    if version is not None and version < 1:
        raise _refused("/expectedVersion", "greater_than_equal", "must be 1 or more")
    if key is not None and not is_idempotency_key(key):
        raise _refused("/idempotencyKey", "invalid_key", "must be 1 to 255 printable ASCII characters")
    call = Call(command, fields_of(command.input, fields or {}), version)
    try:
        return await session.run(call, key)
    except RustokError as error:
        raise placed(error, command.input, "/input") from error


def _refused(pointer: str, code: str, detail: str) -> InvalidInput:
    return InvalidInput("The input does not fit.", [Violation(pointer, code, detail)])


def _field(operation: Command | Query, type_: Any, arguments: dict[str, GraphQLArgument], resolve: Any) -> GraphQLField:
    """Return a field that may be null: what fails in one takes nothing from the others."""
    return GraphQLField(
        type_,
        arguments,
        resolve,
        description=f"{operation.summary}. Needs `{operation.permission}`.",
        deprecation_reason=None if operation.deprecation is None else str(operation.deprecation),
        extensions={OPERATION: operation},
    )
