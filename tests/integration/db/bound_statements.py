"""Which tables a statement touches without naming the tenant, as PostgreSQL plans it."""

import json
import pkgutil
import re
from collections.abc import Iterator, Mapping
from importlib import import_module
from typing import Any

import asyncpg
from sqlalchemy import TextClause, text
from sqlalchemy.dialects import postgresql

import rustok

_DIALECT = postgresql.asyncpg.dialect()  # type: ignore[no-untyped-call] # SQLAlchemy's own constructor
_ATTRIBUTE = "SELECT attnum FROM pg_attribute WHERE attrelid = CAST($1 AS text)::regclass AND attname = $2"

BY_ID = ("tenants", "erased_tenants")
"""Tables whose `id` is the tenant."""

_PARTS = ("statement", "_onwards", "_back")
"""Where things that are made of statements, such as `SetInsert` and `Listing`, keep them."""

Node = Mapping[str, Any]


def statements_of_the_platform() -> dict[str, str]:
    """Return the text of every statement with a plan that a module of `rustok` has, by the name it is given there."""
    found: dict[int, tuple[str, str]] = {}
    for info in pkgutil.walk_packages(rustok.__path__, "rustok."):
        if info.name.startswith("rustok.sandbox.types"):  # stubs for authors of scripts
            continue
        for name, value in vars(import_module(info.name)).items():
            for statement in (value, *(getattr(value, part, None) for part in _PARTS)):
                if isinstance(statement, TextClause) and not statement.text.startswith("SET "):  # it has no plan
                    found.setdefault(id(statement), (f"{info.name}.{name}", statement.text))
    return dict(found.values())


async def unbound_tables(connection: asyncpg.Connection, statement: str, tables: frozenset[str]) -> set[str]:
    """Return those of *tables* of which *statement* reads, changes or inserts rows of other tenants than `:tenant_id`.

    A row is bound by a condition of its own scan: its tenant is the parameter, or that of another row of a table. One
    that is inserted has the parameter, or the tenant of a row that was read.
    """
    compiled = text(statement).compile(dialect=_DIALECT)
    names = compiled.positiontup or []
    parameter = f"${names.index('tenant_id') + 1}" if "tenant_id" in names else "no parameter"
    nodes = list(_nodes(await _plan(connection, str(compiled), len(names))))
    made = {node["Alias"] for node in nodes if node["Node Type"] == "Function Scan"}
    unbound = set()
    for node in nodes:
        table = node.get("Relation Name")
        if table not in tables:
            continue
        column = "id" if table in BY_ID else "tenant_id"
        if node["Node Type"] != "ModifyTable":
            is_bound = any(_binds(condition, column, parameter, made) for condition in _conditions(node))
        elif node["Operation"] == "Insert":
            place = await connection.fetchval(_ATTRIBUTE, table, column)
            is_bound = _gives_tenant(_source(node), place, parameter, made)
        else:  # what it changes was scanned
            continue
        if not is_bound:
            unbound.add(table)
    return unbound


async def _plan(connection: asyncpg.Connection, sql: str, parameters: int) -> Node:
    """Return the plan for any values of the parameters."""
    values = f"({', '.join(['NULL'] * parameters)})" if parameters else ""
    async with connection.transaction():
        await connection.execute("SET LOCAL plan_cache_mode = force_generic_plan")
        await connection.execute(f"PREPARE planned AS {sql}")
        try:
            plan = await connection.fetchval(f"EXPLAIN (VERBOSE, FORMAT JSON) EXECUTE planned{values}")
        finally:
            await connection.execute("DEALLOCATE planned")
    root: Node = json.loads(plan)[0]["Plan"]
    return root


def _nodes(node: Node) -> Iterator[Node]:
    yield node
    for child in node.get("Plans", ()):
        yield from _nodes(child)


def _conditions(scan: Node) -> Iterator[str]:
    """Yield what all rows of *scan* fulfil."""
    for name, condition in scan.items():
        if name.endswith(" Cond") or name == "Filter":
            yield from _conjuncts(condition)
    for child in scan.get("Plans", ()):
        if child["Node Type"].startswith("Bitmap"):  # the index is a node of its own
            yield from _conditions(child)


def _conjuncts(condition: str) -> Iterator[str]:
    """Split `((a) AND (b))`, as EXPLAIN writes it, into `a` and `b`."""
    inner = condition.removeprefix("(").removesuffix(")")
    depth, begin = 0, 0
    for place, character in enumerate(inner):
        depth += (character == "(") - (character == ")")
        if depth == 0 and inner.startswith(" AND ", place):
            yield inner[begin:place].strip("()")
            begin = place + len(" AND ")
    yield inner[begin:].strip("()")


def _binds(condition: str, column: str, parameter: str, made: set[str]) -> bool:
    equation = re.fullmatch(rf"(?:\w+\.)?{column} = (\$\d+|\w+\.\w+|\w+)", condition)
    return equation is not None and (equation[1] == parameter or _is_tenant(equation[1], made))


def _source(insert: Node) -> Any:
    """Return what makes the rows of *insert*, its columns in the order of the table's."""
    return next(child for child in insert["Plans"] if child["Parent Relationship"] == "Outer")


def _gives_tenant(source: Node, place: int, parameter: str, made: set[str]) -> bool:
    """Tell whether the column at *place*, from 1, is bound."""
    value = source["Output"][place - 1]
    if value.startswith('"*SELECT*".'):  # casts, around the rows themselves
        return parameter in source["Plans"][0]["Output"]
    return value == parameter or _is_tenant(value, made)


def _is_tenant(value: str, made: set[str]) -> bool:
    """Tell whether *value* is the tenant of a row, and not of one that a function has *made*."""
    alias, _, column = value.rpartition(".")
    return value == "tenants.id" or (column == "tenant_id" and alias not in made)
