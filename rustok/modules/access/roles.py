"""Roles: the built-in ones, as patterns over the permissions that the modules declare, and the rules of a tenant's own.

docs/decisions/0037 says why roles, and not attributes.
"""

from collections.abc import Iterable, Mapping
from functools import lru_cache
from graphlib import CycleError, TopologicalSorter
from typing import NamedTuple

from rustok.kernel.errors import Conflict
from rustok.kernel.permission import Permission, expand

BUILT_IN_ROLES: Mapping[str, tuple[str, ...]] = {
    "owner": ("*",),
    "admin": (
        "commerce.*", "content.*", "blog.*", "index.*", "jobs.*", "alloy.*", "outbox.*", "access.*.read",
        "access.users.write",
    ),
    "manager": ("commerce.*", "content.*.read", "blog.*.read", "index.*", "jobs.*.read", "alloy.*.read"),
    "editor": ("content.*", "blog.*", "commerce.*.read", "index.*", "jobs.*.read"),
    "customer": ("index.*.read",),
    "visitor": ("index.products.read", "index.content.read"),
    "ops.viewer": ("jobs.*.read", "outbox.*.read", "alloy.runs.read"),
    "ops.operator": ("jobs.*", "outbox.*.read", "alloy.runs.*"),
}  # fmt: skip
"""`visitor` is also what somebody without a credential has, where a tenant has opened its storefront."""
DEEPEST = 5
"""Steps from a role to its farthest ancestor at most."""
_EVERYBODY = ("access.me.read",)
"""What whoever has a credential may do."""


class RoleCycle(Conflict):
    """A role would be among its own ancestors."""

    code = "role_cycle"


class RoleTooDeep(Conflict):
    """A role would have an ancestor that is too far away."""

    code = "role_too_deep"


class Grants(NamedTuple):
    """Permissions, and those that hold only for what one has made oneself."""

    permissions: frozenset[str]
    own: frozenset[str] = frozenset()

    def cover(self, other: "Grants") -> bool:
        """Tell whether who has these may give the *other* ones away."""
        return other.permissions <= self.permissions and other.own <= self.permissions | self.own

    def cover_whole(self, other: "Grants") -> bool:
        """Tell whether who has these could do all that somebody with the *other* ones does.

        What holds for one's own is another thing for each: it must be had for everything.
        """
        return other.permissions | other.own <= self.permissions

    def within(self, permissions: Iterable[str]) -> "Grants":
        """Return those of them that are among *permissions*."""
        scope = frozenset(permissions)
        return Grants(self.permissions & scope, self.own & scope)


class Roles:
    """What roles allow, of the *known* permissions. The platform's own are in no role."""

    def __init__(self, known: Iterable[Permission]) -> None:
        self._names = tuple(permission.name for permission in known if not permission.of_platform)
        self.everybody = expand(_EVERYBODY, self._names)
        self._built_in = {role: expand(patterns, self._names) for role, patterns in BUILT_IN_ROLES.items()}
        self._of = lru_cache(maxsize=1024)(self._sum)

    def expand(self, patterns: Iterable[str]) -> frozenset[str]:
        """Return the permissions that *patterns* stand for, as they are now."""
        return expand(patterns, self._names)

    def built_in(self, role: str) -> frozenset[str]:
        return self._built_in[role]

    def grants(self, roles: Iterable[str], permissions: Iterable[str], own: Iterable[str]) -> Grants:
        """Return what built-in ones among *roles* allow, together with what was granted beside."""
        return self._of(frozenset(roles), frozenset(permissions), frozenset(own))

    def _sum(self, roles: frozenset[str], permissions: frozenset[str], own: frozenset[str]) -> Grants:
        built_in = (self._built_in[role] for role in roles & self._built_in.keys())
        granted = frozenset().union(permissions, *built_in)
        return Grants(granted, own - granted)


def is_for_visitors(permission: str) -> bool:
    """Tell whether *permission* is one that visitors have."""
    return permission in BUILT_IN_ROLES["visitor"]


def check_lineage(parents: Mapping[str, Iterable[str]]) -> None:
    """Return if nobody among *parents*, all roles of a tenant with theirs, descends from itself or too far away.

    Raises:
        RoleCycle: somebody does; the message names the circle.
        RoleTooDeep: a role has an ancestor more than DEEPEST steps away.

    """
    try:
        order = [*TopologicalSorter(parents).static_order()]
    except CycleError as error:
        raise RoleCycle(f"Roles would descend from themselves: {' -> '.join(error.args[1])}.") from None
    depths: dict[str, int] = {}
    for role in order:
        depths[role] = max((depths[parent] + 1 for parent in parents.get(role, ())), default=0)
        if depths[role] > DEEPEST:
            raise RoleTooDeep(f"The role {role!r} would be {depths[role]} steps below an ancestor: {DEEPEST} at most.")
