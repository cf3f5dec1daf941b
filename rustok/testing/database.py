"""Throw-away databases: cloned from a migrated template, dropped afterwards."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from urllib.parse import urlsplit
from uuid import uuid4

import asyncpg

from rustok.db.migrate import migrate
from rustok.db.roles import Passwords, create_database, create_roles

_PASSWORDS = Passwords(owner="owner", app="app", system="system")
_TEMPLATE = "rustok_template"


@dataclass(frozen=True, slots=True)
class Database:
    """One database, with a URL for each role that may log in."""

    name: str
    app_url: str
    system_url: str
    owner_url: str
    admin_url: str


class DatabaseServer:
    """A PostgreSQL server on which the tests may do as they like."""

    def __init__(self, admin_url: str) -> None:
        self._admin_url = admin_url

    def database(self, name: str) -> Database:
        """Return the URLs of the database *name*, which need not exist."""
        parts = urlsplit(self._admin_url)
        at = f"{parts.hostname}:{parts.port}/{name}"
        return Database(
            name=name,
            app_url=f"postgresql://rustok_app:{_PASSWORDS.app}@{at}",
            system_url=f"postgresql://rustok_system:{_PASSWORDS.system}@{at}",
            owner_url=f"postgresql://rustok_owner:{_PASSWORDS.owner}@{at}",
            admin_url=parts._replace(path=f"/{name}").geturl(),
        )

    async def create_template(self) -> None:
        """Create the roles and a migrated database to clone."""
        async with self._administrator() as connection:
            await create_roles(connection, _PASSWORDS)
            await connection.execute(f"DROP DATABASE IF EXISTS {_TEMPLATE}")
            await create_database(connection, _TEMPLATE)
        await migrate(self.database(_TEMPLATE).owner_url)

    @asynccontextmanager
    async def throw_away(self) -> AsyncIterator[Database]:
        """Clone the template; drop the clone on leaving, whoever is still connected."""
        name = f"rustok_{uuid4().hex}"
        async with self._administrator() as connection:
            await create_database(connection, name, template=_TEMPLATE)
        try:
            yield self.database(name)
        finally:
            async with self._administrator() as connection:
                await connection.execute(f"DROP DATABASE {name} WITH (FORCE)")

    @asynccontextmanager
    async def _administrator(self) -> AsyncIterator[asyncpg.Connection]:
        connection = await asyncpg.connect(self._admin_url)
        try:
            yield connection
        finally:
            await connection.close()
