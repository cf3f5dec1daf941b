"""Permissions: flat names `<module>.<entity>.<action>`, denied unless granted."""

import re
from collections.abc import Iterable
from dataclasses import dataclass

NAME = re.compile(r"[a-z][a-z0-9_]*(\.[a-z][a-z0-9_]*){2}")


@dataclass(frozen=True, slots=True)
class Permission:
    """A right. One of the platform is never part of a tenant's role.

    `may_be_own`: it can be granted for what one has made oneself alone. All of its commands hold what they change, and
    say who has made it (`UnitOfWork.hold`).
    """

    name: str
    summary: str
    of_platform: bool = False
    may_be_own: bool = False


def module_name(name: str) -> str:
    """Return the module that a permission belongs to, or a command, query, event or job kind: all begin with it."""
    return name.partition(".")[0]


def expand(patterns: Iterable[str], known: Iterable[str]) -> frozenset[str]:
    """Return the *known* permissions that *patterns* grant.

    A pattern is a name, `*`, or a name whose trailing or middle segments are `*`: `commerce.*`, `*.*.read`.
    """
    wanted = [pattern.split(".") for pattern in patterns]
    return frozenset(name for name in known if any(_covers(pattern, name.split(".")) for pattern in wanted))


def _covers(pattern: list[str], name: list[str]) -> bool:
    if pattern[-1] == "*" and len(pattern) < len(name):
        pattern = pattern + ["*"] * (len(name) - len(pattern))
    return len(pattern) == len(name) and all(p in ("*", n) for p, n in zip(pattern, name, strict=True))
