"""Whatever the roles of a tenant are: they allow what PyCasbin says, which reads the same graph in its own way."""

import random
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import casbin
import pytest
from casbin.model import Model

from rustok.catalog import MODULES
from rustok.kernel.registry import build_registry
from rustok.modules.access.roles import BUILT_IN_ROLES, DEEPEST, Roles
from rustok.testing import PlatformUnderTest
from tests.integration.api.support import administrator

KNOWN = tuple(build_registry(MODULES).permissions.values())
ROLES = Roles(KNOWN)
GRANTABLE = sorted(ROLES.built_in("owner"))
OF_PLATFORM = {permission.name for permission in KNOWN if permission.of_platform}
PATTERNS = ("commerce.*", "content.*", "*.*.read", "jobs.*.read", "alloy.runs.*", "access.users.write", *GRANTABLE[:6])
_ASKED = 12
"""Permissions that are asked for in each graph."""

_MODEL = """
[request_definition]
r = subject, permission
[policy_definition]
p = role, pattern
[role_definition]
g = _, _
[policy_effect]
e = some(where (p.eft == allow))
[matchers]
m = g(r.subject, p.role) && regexMatch(r.permission, p.pattern)
"""
_INSERT = """
    INSERT INTO roles (tenant_id, id, name, summary, parents, grants, own_grants, permissions, own_permissions,
                       version, created_at, updated_at)
    VALUES ($1, gen_random_uuid(), $2, '', $3, $4, '{}', $5, '{}', 1, now(), now())
"""
RIGHTS = "SELECT roles, permissions, own_permissions FROM rights_of_roles($1, $2)"


@dataclass(frozen=True, slots=True)
class Graph:
    """Roles with their parents and patterns, and the roles that somebody has."""

    parents: dict[str, list[str]]
    patterns: dict[str, list[str]]
    held: list[str]


def a_graph(chance: random.Random, prefix: str) -> Graph:
    """Return up to eight roles, none of which has an ancestor too far away; built-in ones are among the parents."""
    names = [f"{prefix}-{number}" for number in range(chance.randint(1, 8))]
    depths: dict[str, int] = {}
    parents: dict[str, list[str]] = {}
    for place, name in enumerate(names):
        near = [other for other in names[:place] if depths[other] < DEEPEST]
        chosen = chance.sample(near, chance.randint(0, min(3, len(near))))
        depths[name] = max((depths[other] + 1 for other in chosen), default=0)
        if depths[name] < DEEPEST and chance.random() < 0.2:
            chosen.append(chance.choice(list(BUILT_IN_ROLES)))
            depths[name] = max(depths[name], 1)
        parents[name] = chosen
    patterns = {name: chance.sample(PATTERNS, chance.randint(0, 3)) for name in names}
    everyone = [*names, *BUILT_IN_ROLES]
    return Graph(parents, patterns, chance.sample(everyone, chance.randint(0, 3)))


def by_casbin(graph: Graph, permissions: Iterable[str]) -> set[str]:
    """Return which of *permissions* somebody with the roles that are held has."""
    model = Model()
    model.load_model_from_text(_MODEL)
    enforcer = casbin.Enforcer(model)
    named = {*graph.held, *(parent for each in graph.parents.values() for parent in each)}
    built_in = {role: patterns for role, patterns in BUILT_IN_ROLES.items() if role in named}
    patterns: dict[str, Sequence[str]] = {**built_in, **graph.patterns}
    enforcer.add_policies([[role, as_expression(pattern)] for role, each in patterns.items() for pattern in each])
    enforcer.add_grouping_policies([[role, parent] for role, each in graph.parents.items() for parent in each])
    enforcer.add_grouping_policies([["somebody", role] for role in graph.held])
    return {permission for permission in permissions if enforcer.enforce("somebody", permission)}


def as_expression(pattern: str) -> str:
    """Return a pattern as a regular expression: a segment `*` is any one, the last such one all that follow."""
    segments = [r"[^.]+" if segment == "*" else segment for segment in pattern.split(".")]
    return "^" + r"\.".join(segments) + (r"(\.[^.]+)*$" if pattern.endswith("*") else "$")


async def disagreements(rustok: PlatformUnderTest, statement: str, seed: int, graphs: int) -> list[Graph]:
    """Return the graphs of which PyCasbin does not say what *statement* does."""
    chance = random.Random(seed)
    tenant_id = await rustok.create_tenant()
    found = []
    async with administrator(rustok.database) as admin:
        for number in range(graphs):
            graph = a_graph(chance, f"g{number}")
            rows = [
                (tenant_id, name, parents, graph.patterns[name], sorted(ROLES.expand(graph.patterns[name])))
                for name, parents in graph.parents.items()
            ]
            await admin.executemany(_INSERT, rows)
            row = await admin.fetchrow(statement, tenant_id, graph.held)
            granted = ROLES.grants(row["roles"], row["permissions"], row["own_permissions"]).permissions
            asked = chance.sample(GRANTABLE, _ASKED)
            if by_casbin(graph, asked) != granted & set(asked) or granted & OF_PLATFORM:
                found.append(graph)
    return found


@pytest.mark.parametrize(
    ("seed", "graphs"),
    [(1, 300), pytest.param(2, 10_000, marks=[pytest.mark.deep, pytest.mark.timeout(900)])],
)
async def test_roles_allow_what_pycasbin_says(rustok: PlatformUnderTest, seed: int, graphs: int) -> None:
    """By parents, built-in ones among them, and by patterns; and nothing of the platform's own."""
    assert await disagreements(rustok, RIGHTS, seed, graphs) == []


async def test_roles_that_do_not_reach_their_ancestors_are_noticed(rustok: PlatformUnderTest) -> None:
    """The comparison can fail."""
    shallow = RIGHTS.replace("$1, $2)", "gen_random_uuid(), $2) WHERE $1::uuid IS NOT NULL")

    assert await disagreements(rustok, shallow, 1, 50)
