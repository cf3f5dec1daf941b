"""Which built-in role may use which route. `python -m tests.integration.api.role_matrix` writes the table anew.

People review what has changed in it: a new permission may be in more roles than was meant.
"""

from pathlib import Path

from rustok.kernel.module import Command, Query
from rustok.modules.access.roles import BUILT_IN_ROLES, Roles
from tests.integration.api.possessions import OPERATIONS, REGISTRY, Operation

TABLE = Path(__file__).with_name("role_matrix.txt")
NOBODY = "nobody"
"""Who sends no credential, in a tenant that has opened its storefront."""
COLUMNS = (*(role for role in BUILT_IN_ROLES if role != "visitor"), NOBODY)
_EVENTS_OF = "jobs.operations.get"
_ROLES = Roles(REGISTRY.permissions.values())


def permission_of(operation: Operation) -> str:
    """Return the permission that *operation* declares; the stream of an operation needs that of reading it."""
    declared: dict[str, Command | Query] = {**REGISTRY.commands, **REGISTRY.queries}
    return declared.get(operation.name, REGISTRY.queries[_EVENTS_OF]).permission


def may(column: str, operation: Operation) -> bool:
    """Tell whether a role may use *operation*, going by what is declared."""
    permission = permission_of(operation)
    if column == NOBODY:
        return permission in _ROLES.built_in("visitor")
    return permission in _ROLES.built_in(column) | _ROLES.everybody


def table() -> str:
    """Return a line an operation: its method and path, and who may use it."""
    lines = ["# Who may use which route. Written by `python -m tests.integration.api.role_matrix`."]
    for operation in sorted(OPERATIONS, key=lambda each: (each.path, each.method)):
        allowed = [column for column in COLUMNS if may(column, operation)]
        lines.append(f"{operation.method} {operation.path}: {' '.join(allowed)}")
    return "\n".join(lines) + "\n"


if __name__ == "__main__":
    TABLE.write_text(table())
