"""The schema: generated, kept in git, and true to clients that were written against it."""

import re
from dataclasses import replace
from datetime import date
from math import ceil, sqrt
from pathlib import Path
from typing import ClassVar

import pytest
from graphql import (
    GraphQLField,
    GraphQLObjectType,
    GraphQLSchema,
    GraphQLString,
    build_schema,
    get_named_type,
    print_schema,
)
from pydantic import Field

from api.graphql import cost, limits, meter
from api.graphql.connections import EDGES
from api.graphql.names import root_field
from api.graphql.roots import OPERATION
from api.graphql.schema import build_schema as schema_of
from api.graphql.schema import check_roots
from rustok.catalog import MODULES
from rustok.kernel.errors import Misconfigured
from rustok.kernel.module import Command, Deprecation, Input, Module, Query, QueryInput, Result
from rustok.kernel.registry import build_registry
from tests.integration.api.graphql.refresh_schema import SNAPSHOT, broken, schema
from tests.integration.api.graphql.support import data
from tests.integration.api.support import ApiUnderTest
from tests.unit.modules_by_hand import Lamp, a_command, a_query, lamps

PAGE = Path(__file__).parents[4] / "docs/graphql.md"


def test_the_snapshot_is_the_schema_of_this_build() -> None:
    """If not: `python -m tests.integration.api.graphql.refresh_schema`."""
    assert f"{print_schema(schema())}\n" == SNAPSHOT.read_text()


def test_the_schema_keeps_what_it_has_promised() -> None:
    assert broken(SNAPSHOT.read_text(), schema()) == []


@pytest.mark.parametrize(
    ("before", "after", "fault"),
    [
        ("type Query { a: Int b: Int }", "type Query { a: Int }", "Field Query.b was removed."),
        (
            "type Query { a: Int b: Int }",
            "type Query { a: String b: Int }",
            "Field Query.a changed type from Int to String.",
        ),
        ("type Query { a: Int! }", "type Query { a: Int }", "Field Query.a changed type from Int! to Int."),
        ("type Query { a: Int }", "type Query { a(b: Int!): Int }", "A required argument Query.a(b:) was added."),
    ],
)
def test_what_breaks_clients_is_found(before: str, after: str, fault: str) -> None:
    assert broken(before, build_schema(after)) == [fault]


def test_what_is_added_breaks_nobody() -> None:
    assert broken("type Query { a: Int }", build_schema("type Query { a(b: Int): Int! c: Int }")) == []


def test_every_root_field_runs_an_operation_of_the_registry() -> None:
    """Whose permission the Dispatcher checks."""
    registry = build_registry(MODULES)
    built = schema_of(registry)
    operations: dict[str, Command | Query] = {**registry.commands, **registry.queries}

    for root in (built.query_type, built.mutation_type):
        assert root
        for field in root.fields.values():
            operation = field.extensions[OPERATION]
            assert operations[operation.name] is operation
            assert operation.permission in registry.permissions


def test_a_root_field_without_an_operation_stops_the_process() -> None:
    bare = GraphQLSchema(GraphQLObjectType("Query", {"bare": GraphQLField(GraphQLString)}))

    with pytest.raises(Misconfigured, match=r"Query\.bare of GraphQL names no command or query"):
        check_roots(bare)


def test_two_operations_with_one_name_stop_the_process() -> None:
    """Another module has a route that reads the same."""
    commerce = _module("commerce")
    [query] = [query for query in commerce.queries if query.name == "commerce.products.list"]
    twin = replace(query, name="blog.products.list", permission="blog.posts.read")
    blog = _module("blog")
    modules = [replace(blog, queries=(*blog.queries, twin)) if module is blog else module for module in MODULES]

    with pytest.raises(Misconfigured, match=r"are both products in GraphQL"):
        schema_of(build_registry(modules))


def test_two_types_with_one_name_stop_the_process() -> None:
    class Product(Result):
        id: str

    blog = _module("blog")
    [query] = [query for query in blog.queries if query.name == "blog.posts.get"]
    queries = (*blog.queries, replace(query, name="blog.goods.get", result=Product, route="GET /goods/{post_id}"))
    modules = [replace(blog, queries=queries) if module is blog else module for module in MODULES]

    with pytest.raises(Misconfigured, match="multiple types named 'Product'"):
        schema_of(build_registry(modules))


def test_a_new_operation_is_there_by_itself() -> None:
    """With its arguments and its result."""
    registry = build_registry([*MODULES, lamps()])

    told = print_schema(schema_of(registry))

    assert "findRoomLamps(room: String!): Lamp\n" in told
    assert "lightLamp(\n" in told
    assert "input LightLampInput {\n  lampId: String!\n}" in told


@pytest.mark.parametrize(
    ("route", "name", "field"),
    [
        ("GET /lamps", "lamps.lamps.list", "lamps"),
        ("GET /lamps/{lamp_id}", "lamps.lamps.get", "lamp"),
        ("GET /lamps", "lamps.lamps.search", "searchLamps"),
        ("POST /lamps", "lamps.lamps.create", "createLamp"),
        ("POST /lamps/{lamp_id}/light", "lamps.lamps.light", "lightLamp"),
        ("PUT /lamps/{lamp_id}/bulb-sizes", "lamps.sizes.set", "setLampBulbSizes"),
        ("PUT /lamps/{lamp_id}/bodies/{locale}", "lamps.bodies.set", "setLampBody"),
    ],
)
def test_a_root_field_is_called_by_its_route(route: str, name: str, field: str) -> None:
    assert root_field(a_command(route=route, name=name)) == field


def test_a_map_without_a_name_for_its_keys_stops_the_process() -> None:
    class Shelf(Result):
        boxes: dict[str, Lamp]

    modules = [*MODULES, lamps(queries=(a_query(result=Shelf),))]

    with pytest.raises(Misconfigured, match="no name for the keys of boxes"):
        schema_of(build_registry(modules))


def test_the_page_names_the_bounds() -> None:
    rows = [line for line in PAGE.read_text().splitlines() if "`graphql_too_" in line]

    assert [re.findall(r"\d+(?:,\d+)*", row.split("|")[2])[0] for row in rows] == [
        f"{bound:,}"
        for bound in (
            limits.MOST_CHARACTERS,
            limits.LONGEST_NAME,
            limits.MOST_TOKENS_READ,
            cost.DEEPEST,
            limits.MOST_ALIASES,
            limits.MOST_FRAGMENTS,
            limits.MOST_DIRECTIVES,
            cost.MOST_ROOT_FIELDS,
            meter.MOST_VALUES,
            meter.MOST_BYTES,
        )
    ]


async def test_the_examples_of_the_page_run(api: ApiUnderTest) -> None:
    [body] = re.findall(r"-d '(.+?)'\n", PAGE.read_text(), re.DOTALL)
    [mutation] = re.findall(r"```\n(mutation .+?)```", PAGE.read_text(), re.DOTALL)
    product = await api.create(status="active")
    await api.rustok.settle()

    found = await api.client.post("/api/graphql", content=body, headers={"Content-Type": "application/json"})
    changed = await data(api, mutation, id=product["id"], seen=product["version"])

    assert [edge["node"]["title"] for edge in found.json()["data"]["searchProducts"]["edges"]] == ["Red bicycle"]
    assert changed["updateProduct"]["vendor"] == "Acme"


def test_each_list_inside_a_thing_counts_as_the_root_of_what_its_commands_take() -> None:
    """Bodies belong to translations, so that there are as many; a list that nobody has named counts as a long one."""
    taken = _most_taken()

    found = {name: cost.length_of_list(name) for name in _inner_lists()}

    assert found == {name: ceil(sqrt(taken[name])) for name in found}
    assert found == {"translations": 8, "bodies": 8, "options": 2, "variants": 10, "prices": 15}
    assert cost.length_of_list("wheels") == 10


def _inner_lists() -> set[str]:
    """Return the fields of objects that are lists of objects, other than those of connections."""
    types = [each for each in schema().type_map.values() if isinstance(each, GraphQLObjectType)]
    fields = [(name, field) for each in types if not each.name.startswith("__") for name, field in each.fields.items()]
    return {
        name
        for name, field in fields
        if "[" in str(field.type) and isinstance(get_named_type(field.type), GraphQLObjectType) and name != EDGES
    }


def _most_taken() -> dict[str, int]:
    """Return how many values the inputs of commands may have in each of their lists and maps."""
    found: dict[str, int] = {}
    for command in build_registry(MODULES).commands.values():
        document = command.input.model_json_schema()
        for model in (document, *document.get("$defs", {}).values()):
            for name, field in model.get("properties", {}).items():
                most = field.get("maxItems", field.get("maxProperties"))
                if most is not None:
                    found[name] = max(most, found.get(name, 0))
    return {**found, "bodies": found["translations"]}


def test_a_deprecated_operation_is_a_deprecated_field() -> None:
    blog = _module("blog")
    deprecation = Deprecation(since=date(2026, 1, 1), use="blog.posts.list")
    old = tuple(
        replace(each, deprecation=deprecation) if each.name == "blog.posts.get" else each for each in blog.queries
    )
    modules = [replace(blog, queries=old) if module is blog else module for module in MODULES]

    root = schema_of(build_registry(modules)).query_type

    assert root
    assert root.fields["post"].deprecation_reason == "Deprecated since 2026-01-01. Use `blog.posts.list`."
    assert root.fields["posts"].deprecation_reason is None


class OldLamp(Lamp):
    colour: str = Field(deprecated="Use `light`.")
    shades: list[Lamp] = Field(deprecated=True)


class LightOldLamp(Input):
    example: ClassVar = {"lamp_id": "hall-1"}

    lamp_id: str
    colour: str | None = Field(None, deprecated="Use `light`.")


class FindOldLamps(QueryInput):
    example: ClassVar = {"room": "hall"}

    room: str
    colour: str | None = Field(None, deprecated="Use `light`.")


def test_a_deprecated_field_of_a_model_is_deprecated_wherever_it_is() -> None:
    """In what an operation returns, takes as its input, and takes as arguments."""
    module = lamps(
        commands=(a_command(input=LightOldLamp, result=OldLamp),),
        queries=(a_query(input=FindOldLamps, result=OldLamp),),
    )

    built = schema_of(build_registry([*MODULES, module]))

    told = print_schema(built)
    assert '  lampId: String!\n  colour: String! @deprecated(reason: "Use `light`.")\n' in told
    assert '  shades: [LampsLamp!]! @deprecated(reason: "deprecated")\n' in told
    assert '  lampId: String!\n  colour: String @deprecated(reason: "Use `light`.")\n' in told
    assert 'findRoomLamps(room: String!, colour: String @deprecated(reason: "Use `light`.")): OldLamp\n' in told


def test_what_must_be_sent_cannot_be_deprecated() -> None:
    """A client could not stop sending it: make it optional first."""

    class LightColour(LightOldLamp):
        example: ClassVar = {"lamp_id": "hall-1", "colour": "red"}

        colour: str = Field(deprecated="Use `light`.")

    modules = [*MODULES, lamps(commands=(a_command(input=LightColour),))]

    with pytest.raises(Misconfigured, match=r"Required input field LightLampInput\.colour cannot be deprecated"):
        schema_of(build_registry(modules))


def test_there_are_no_doors_to_what_operators_do() -> None:
    """Front ends have what they show and change; keys, tenants, jobs and scripts have REST and the command line."""
    built = schema()
    assert built.query_type
    assert built.mutation_type
    shown = {
        field.extensions[OPERATION].permission.split(".")[0]
        for root in (built.query_type, built.mutation_type)
        for field in root.fields.values()
    }

    assert shown == {"blog", "commerce", "content", "index"}


def _module(name: str) -> Module:
    return next(module for module in MODULES if module.name == name)
