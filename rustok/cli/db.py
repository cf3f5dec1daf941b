"""`rustok db`: create roles and database, migrate, and tell what is applied."""

import asyncio
from urllib.parse import unquote, urlsplit

import asyncpg
import typer

from rustok.cli.environment import cli_settings
from rustok.cli.output import err, print_rows
from rustok.cli.tenant import Json
from rustok.db.failures import translated_failures
from rustok.db.migrate import migrate as apply_migrations
from rustok.db.migrate import migration_status
from rustok.db.rls import APP, OWNER, SYSTEM
from rustok.db.roles import Passwords, create_database, create_roles
from rustok.kernel.errors import Misconfigured
from rustok.settings import required

app = typer.Typer(no_args_is_help=True)


@app.command()
def init() -> None:
    """Create the four roles and the database, as an administrator, once.

    RUSTOK_ADMIN_DATABASE_URL connects to the server; names and passwords come from the other three URLs.
    """
    asyncio.run(_init())


@app.command()
def migrate() -> None:
    """Apply the pending migrations; any number of processes may do so at once."""
    url = required(cli_settings().owner_database_url, "owner_database_url")
    with translated_failures():
        before = asyncio.run(apply_migrations(url))
    err.print(f"applied {len(before.pending)} migrations, {len(before.applied)} were there")


@app.command()
def status(*, as_json: Json = False) -> None:
    """Tell which migrations the database has and which it lacks; exit code 1 when it lacks some."""
    url = required(cli_settings().owner_database_url, "owner_database_url")
    with translated_failures():
        found = asyncio.run(migration_status(url))
    rows = [{"migration": name, "state": "applied"} for name in found.applied]
    rows += [{"migration": name, "state": "pending"} for name in found.pending]
    print_rows(rows, ("migration", "state"), as_json=as_json)
    raise typer.Exit(1 if found.pending else 0)


async def _init() -> None:
    settings = cli_settings()
    admin_url = required(settings.admin_database_url, "admin_database_url")
    app_url = required(settings.database_url, "database_url")
    passwords = Passwords(
        owner=_password(required(settings.owner_database_url, "owner_database_url"), OWNER),
        app=_password(app_url, APP),
        system=_password(required(settings.system_database_url, "system_database_url"), SYSTEM),
    )
    with translated_failures():
        connection = await asyncpg.connect(admin_url)
        try:
            await create_roles(connection, passwords)
            await create_database(connection, urlsplit(app_url).path.lstrip("/"))
        finally:
            await connection.close()
    err.print("roles and database are there; next: rustok db migrate")


def _password(url: str, role: str) -> str:
    parts = urlsplit(url)
    if parts.username != role or not parts.password:
        raise Misconfigured(f"The URL of the role {role} must read postgresql://{role}:<password>@host/database.")
    return unquote(parts.password)
