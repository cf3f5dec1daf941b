"""Creates the roles and the database on a server, as an administrator, once (`rustok db init`)."""

from dataclasses import dataclass

import asyncpg

from rustok.db.rls import APP, OWNER, SEARCH, SYSTEM


@dataclass(frozen=True, slots=True)
class Passwords:
    owner: str
    app: str
    system: str


async def create_roles(connection: asyncpg.Connection, passwords: Passwords) -> None:
    """Create the four roles, or give those that exist these passwords."""
    for role, attributes in (
        (OWNER, f"LOGIN NOINHERIT PASSWORD {_literal(passwords.owner)}"),
        (APP, f"LOGIN PASSWORD {_literal(passwords.app)}"),
        (SYSTEM, f"LOGIN PASSWORD {_literal(passwords.system)}"),
        (SEARCH, "NOLOGIN"),
    ):
        exists = await connection.fetchval("SELECT 1 FROM pg_roles WHERE rolname = $1", role)
        verb = "ALTER" if exists else "CREATE"
        await connection.execute(f"{verb} ROLE {role} NOSUPERUSER NOBYPASSRLS {attributes}")
    # The owner hands functions over to these two; NOINHERIT keeps their rows out of its own reach.
    await connection.execute(f"GRANT {SEARCH}, {SYSTEM} TO {OWNER}")


async def create_database(connection: asyncpg.Connection, name: str, *, template: str | None = None) -> None:
    """Create a database that belongs to the owner role, or leave the one that exists.

    A new one takes the server's locale; `rustok doctor` tells when that one cannot fold upper and lower case.
    """
    if await connection.fetchval("SELECT 1 FROM pg_database WHERE datname = $1", name):
        return
    source = f" TEMPLATE {_identifier(template)} STRATEGY file_copy" if template else ""
    await connection.execute(f"CREATE DATABASE {_identifier(name)} OWNER {OWNER}{source}")


def _identifier(name: str) -> str:
    return '"' + name.replace('"', '""') + '"'


def _literal(value: str) -> str:
    return "'" + value.replace("\\", "\\\\").replace("'", "''") + "'"
