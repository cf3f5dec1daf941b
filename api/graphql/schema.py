"""The schema, generated from what the modules declare: a new command or query is in it by itself."""

from collections.abc import Iterator

from graphql import GraphQLField, GraphQLObjectType, GraphQLSchema, validate_schema

from api.graphql.inputs import Inputs
from api.graphql.links import add_links
from api.graphql.names import root_field
from api.graphql.outputs import Outputs
from api.graphql.roots import OPERATION, Roots
from api.graphql.scalars import Enums
from rustok.kernel.errors import Misconfigured
from rustok.kernel.module import Command, ModuleKind, Query
from rustok.kernel.registry import Registry

_OF_FRONT_ENDS = (ModuleKind.DOMAIN, ModuleKind.WRAPPER)
"""Modules whose things front ends show and change; beside them they read what projections write."""


def build_schema(registry: Registry) -> GraphQLSchema:
    """Return the schema of *registry*.

    Raises:
        Misconfigured: two operations have the same field, two models make types of one name, what must be sent is
            deprecated, or a root field has no operation with a permission.

    """
    enums = Enums()
    outputs = Outputs(enums)
    roots = Roots(Inputs(enums), outputs)
    queries = _named((each, roots.query(each, registry.module_of(each.name).name)) for each in _queries(registry))
    commands = _named((each, roots.mutation(each, registry.module_of(each.name).name)) for each in _commands(registry))
    add_links(registry, outputs)
    mutation = GraphQLObjectType("Mutation", commands) if commands else None
    try:
        schema = GraphQLSchema(GraphQLObjectType("Query", queries), mutation)
    except TypeError as error:
        raise Misconfigured(f"GraphQL: {error}") from error
    if faults := validate_schema(schema):
        raise Misconfigured(f"GraphQL: {faults[0].message}")
    check_roots(schema)
    return schema


def check_roots(schema: GraphQLSchema) -> None:
    """Raise Misconfigured where a root field runs nothing whose permission the Dispatcher would check."""
    for root in (schema.query_type, schema.mutation_type):
        for name, field in root.fields.items() if root else ():
            if not isinstance(field.extensions.get(OPERATION), Command | Query):
                raise Misconfigured(f"{root}.{name} of GraphQL names no command or query, and so no permission.")


def _queries(registry: Registry) -> Iterator[Query]:
    for query in registry.queries.values():
        if query.reads is not None or registry.module_of(query.name).kind in _OF_FRONT_ENDS:
            yield query


def _commands(registry: Registry) -> Iterator[Command]:
    for command in registry.commands.values():
        if command.route is not None and registry.module_of(command.name).kind in _OF_FRONT_ENDS:
            yield command


def _named(fields: Iterator[tuple[Command | Query, GraphQLField]]) -> dict[str, GraphQLField]:
    found: dict[str, GraphQLField] = {}
    for operation, field in fields:
        name = root_field(operation)
        if name in found:
            other = found[name].extensions[OPERATION].name
            raise Misconfigured(f"{operation.name} and {other} are both {name} in GraphQL: give one another route.")
        found[name] = field
    return dict(sorted(found.items()))
