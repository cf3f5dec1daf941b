"""Writes the snapshot of the schema: `python -m tests.integration.api.graphql.refresh_schema`.

It takes nothing back that clients rely on: a change that would break them is refused.
"""

from pathlib import Path

from graphql import GraphQLSchema, build_schema, print_schema
from graphql.utilities import find_breaking_changes

from api.graphql.schema import build_schema as schema_of
from rustok.catalog import MODULES
from rustok.kernel.registry import build_registry

SNAPSHOT = Path(__file__).with_name("schema.graphql")


def schema() -> GraphQLSchema:
    """Return the schema of this build."""
    return schema_of(build_registry(MODULES))


def broken(promise: str, now: GraphQLSchema) -> list[str]:
    """Return what of *now* breaks a client that relies on a *promise*, a schema in its own language."""
    return sorted(change.description for change in find_breaking_changes(build_schema(promise), now))


def main() -> None:
    now = schema()
    if SNAPSHOT.exists() and (faults := broken(SNAPSHOT.read_text(), now)):
        raise SystemExit("\n".join(["This breaks clients: deprecate, and add beside.", *faults]))
    SNAPSHOT.write_text(f"{print_schema(now)}\n")


if __name__ == "__main__":
    main()
