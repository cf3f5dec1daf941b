"""Applies the migrations in `migrations/`, one process at a time, each in a transaction of its own."""

import asyncio
import re
import sys
from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

import asyncpg
from alembic.config import Config
from alembic.runtime.environment import EnvironmentContext
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import Connection, pool, text
from sqlalchemy.exc import DBAPIError
from sqlalchemy.ext.asyncio import AsyncEngine, create_async_engine

from rustok.db.engine import async_url
from rustok.db.transaction import run_alone
from rustok.kernel.errors import Misconfigured

FILE_NAME = re.compile(r"m(?P<date>\d{8})_(?P<module>[a-z]+)_(?P<number>\d{3})_(?P<description>[a-z0-9_]+)")
"""`mYYYYMMDD_<module>_<nnn>_<description>` (founding document, section 6.1)."""

LACKING = "the database lacks migrations: run `rustok db migrate`"
_CURRENT = text("SELECT version_num FROM alembic_version")
_LOCK = 0x7275_7374_6F6B  # "rustok": one key for every process that migrates this database


@dataclass(frozen=True, slots=True)
class MigrationStatus:
    """Revisions in order of application."""

    applied: tuple[str, ...]
    pending: tuple[str, ...]


def migrations_dir() -> Path:
    """Return where the migrations are: beside the package in a checkout, under the prefix when installed."""
    checkout = Path(__file__).parents[2] / "migrations"
    return checkout if checkout.is_dir() else Path(sys.prefix) / "share" / "rustok" / "migrations"


async def refuse_older_schema(engine: AsyncEngine) -> None:
    """Raise Misconfigured where the database of *engine* lacks migrations of this build."""
    try:
        current = (await run_alone(engine, _CURRENT)).scalar_one_or_none()
    except DBAPIError as error:
        if not isinstance(error.orig, asyncpg.UndefinedTableError):
            raise
        current = None
    if await asyncio.to_thread(lacks_migrations, current):
        raise Misconfigured(LACKING)


def lacks_migrations(current: str | None) -> bool:
    """Tell whether a database at this revision lacks migrations of this build; their files are read once.

    A revision from after this build is fine: a new release migrates while the old one still serves.
    """
    known, head = _revisions()
    return current is None or (current in known and current != head)


@lru_cache(maxsize=1)
def _revisions() -> tuple[frozenset[str], str | None]:
    script = script_directory()
    return frozenset(r.revision for r in script.walk_revisions()), script.get_current_head()


async def migrate(url: str) -> MigrationStatus:
    """Bring the database to the newest migration; return what stood before and what was applied now.

    Any number of processes may call it at once: an advisory lock lets one work while the others wait.
    """
    return await _run(url, _upgrade)


async def migration_status(url: str) -> MigrationStatus:
    """Return which migrations the database has and which it lacks."""
    return await _run(url, _status)


def script_directory(directory: Path | None = None) -> ScriptDirectory:
    """Return Alembic's view of the migrations: their order and their heads.

    Raises:
        Misconfigured: a file is not named as a migration is, or its revision is not called as its file.

    """
    directory = directory or migrations_dir()
    for path in sorted(directory.glob("*.py")):
        if not FILE_NAME.fullmatch(path.stem):
            raise Misconfigured(f"{path} must be named mYYYYMMDD_<module>_<nnn>_<description>.py, or be elsewhere.")
    script = ScriptDirectory(str(directory), version_locations=[str(directory)])
    for revision in script.walk_revisions():
        stem = Path(revision.path).stem
        if not stem.startswith(f"{revision.revision}_"):
            raise Misconfigured(f"{revision.path} calls its revision {revision.revision!r}, not as its file is named.")
    return script


async def _run(url: str, work: Callable[[Connection], MigrationStatus]) -> MigrationStatus:
    engine = create_async_engine(async_url(url), poolclass=pool.NullPool)
    try:
        async with engine.connect() as connection:
            return await connection.run_sync(work)
    finally:
        await engine.dispose()


def _upgrade(connection: Connection) -> MigrationStatus:
    connection.execute(text("SELECT pg_advisory_lock(:key)"), {"key": _LOCK})
    connection.commit()
    try:
        before = _status(connection)
        script = script_directory()
        environment = EnvironmentContext(
            Config(),
            script,
            fn=lambda revision, _context: script._upgrade_revs("head", revision),  # noqa: SLF001 - what Alembic's own `upgrade` command does
        )
        with environment:
            environment.configure(connection=connection, transaction_per_migration=True)
            environment.run_migrations()
        connection.commit()
        return before
    finally:
        connection.rollback()
        connection.execute(text("SELECT pg_advisory_unlock(:key)"), {"key": _LOCK})
        connection.commit()


def _status(connection: Connection) -> MigrationStatus:
    script = script_directory()
    order = [revision.revision for revision in reversed(list(script.walk_revisions()))]
    current = MigrationContext.configure(connection).get_current_revision()
    connection.rollback()
    if current is not None and current not in order:
        raise Misconfigured(f"The database has the migration {current}, which this release lacks: run a newer release.")
    count = order.index(current) + 1 if current else 0
    return MigrationStatus(tuple(order[:count]), tuple(order[count:]))
