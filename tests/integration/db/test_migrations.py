"""Migrations: how they are named, in what order they stand, and that any number of processes may apply them."""

import asyncio
from collections.abc import AsyncIterator
from itertools import groupby, pairwise
from pathlib import Path
from uuid import uuid4

import asyncpg
import pytest

from rustok.catalog import MODULES
from rustok.db.engine import open_engine
from rustok.db.migrate import (
    FILE_NAME,
    migrate,
    migration_status,
    migrations_dir,
    refuse_older_schema,
    script_directory,
)
from rustok.db.roles import create_database
from rustok.kernel.errors import Misconfigured
from rustok.testing import Database, DatabaseServer

MIGRATION = '"""Do nothing."""\n\nrevision = "{revision}"\ndown_revision = None\n\n\ndef upgrade() -> None:\n    pass\n'


def files_in_order() -> list[str]:
    """Return the files' names without `.py`, in order of application."""
    return [Path(revision.path).stem for revision in reversed(list(script_directory().walk_revisions()))]


@pytest.fixture
async def empty_database(database_server: DatabaseServer, database: Database) -> AsyncIterator[Database]:
    """A database without a single table."""
    name = f"rustok_{uuid4().hex}"
    admin = await asyncpg.connect(database.admin_url)
    await create_database(admin, name)
    yield database_server.database(name)
    await admin.execute(f"DROP DATABASE {name} WITH (FORCE)")
    await admin.close()


def test_every_migration_is_in_the_chain() -> None:
    """A file that nobody's `down_revision` leads to would never run."""
    assert sorted(files_in_order()) == sorted(path.stem for path in migrations_dir().glob("*.py"))


def test_the_chain_has_one_head() -> None:
    """Two would leave the order to chance."""
    assert len(script_directory().get_heads()) == 1


def test_the_chain_follows_the_dates() -> None:
    """`mYYYYMMDD`: a later migration has no earlier date."""
    dates = [found["date"] for name in files_in_order() if (found := FILE_NAME.fullmatch(name))]

    assert [(a, b) for a, b in pairwise(dates) if a > b] == []


def test_the_migrations_of_a_module_are_numbered_in_the_order_of_the_chain() -> None:
    """From 001 on, without gaps."""
    found = [match for name in files_in_order() if (match := FILE_NAME.fullmatch(name))]
    by_module = groupby(sorted(found, key=lambda match: match["module"]), key=lambda match: match["module"])
    numbers = {module: [int(match["number"]) for match in matches] for module, matches in by_module}

    assert numbers == {module: list(range(1, len(given) + 1)) for module, given in numbers.items()}


def test_the_prefix_of_a_migration_is_a_module() -> None:
    """Of the catalog, or `db` for what belongs to the platform itself."""
    prefixes = {found["module"] for name in files_in_order() if (found := FILE_NAME.fullmatch(name))}

    assert prefixes - {module.name for module in MODULES} - {"db"} == set()


@pytest.mark.parametrize(
    "name",
    [
        "fix.py",
        "m2026112_outbox_001_short_date.py",
        "m20261122_outbox_1_short_number.py",
        "m20261122_outbox_001.py",
        "m20261122_Outbox_001_upper_case.py",
        "20261122_outbox_001_without_m.py",
        "m20261122_outbox_001_with-hyphen.py",
    ],
)
def test_a_file_with_another_name_is_refused(tmp_path: Path, name: str) -> None:
    """`mYYYYMMDD_<module>_<nnn>_<description>`; the message names the file and the rule."""
    (tmp_path / name).write_text(MIGRATION.format(revision="m20261122_outbox_001"))

    with pytest.raises(Misconfigured) as refused:
        script_directory(tmp_path)

    assert str(refused.value) == (
        f"{tmp_path / name} must be named mYYYYMMDD_<module>_<nnn>_<description>.py, or be elsewhere."
    )


def test_a_revision_that_is_not_called_as_its_file_is_refused(tmp_path: Path) -> None:
    """A copied file whose revision was forgotten would take the original's place."""
    path = tmp_path / "m20261122_outbox_002_create_more.py"
    path.write_text(MIGRATION.format(revision="m20261122_outbox_001"))

    with pytest.raises(Misconfigured, match=r"m20261122_outbox_002_create_more\.py calls its revision"):
        script_directory(tmp_path)


async def test_an_empty_database_gets_every_migration(empty_database: Database) -> None:
    """In order; the status tells it before and after."""
    before = await migrate(empty_database.owner_url)

    after = await migration_status(empty_database.owner_url)
    assert (before.applied, before.pending, after.pending) == ((), after.applied, ())


async def test_migrating_twice_changes_nothing(database: Database) -> None:
    """What is applied stays applied."""
    before = await migration_status(database.owner_url)

    told = await migrate(database.owner_url)

    assert (told, told.pending) == (before, ())


async def test_processes_that_migrate_at_once_apply_everything_once(empty_database: Database) -> None:
    """One works while the others wait for its lock and then find nothing to do."""
    told = await asyncio.gather(*(migrate(empty_database.owner_url) for _ in range(3)))

    assert sorted(len(status.applied) for status in told) == [0, len(files_in_order()), len(files_in_order())]


async def test_a_database_of_a_newer_release_is_refused(database: Database) -> None:
    """An old binary must not touch tables that it does not know."""
    owner = await asyncpg.connect(database.owner_url)
    await owner.execute("UPDATE alembic_version SET version_num = 'm20991231_outbox_999'")
    await owner.close()

    with pytest.raises(Misconfigured, match="m20991231_outbox_999"):
        await migrate(database.owner_url)


async def test_a_migration_that_fails_leaves_the_lock_free(database: Database) -> None:
    """The next attempt would wait for ever otherwise."""
    owner = await asyncpg.connect(database.owner_url)
    await owner.execute("UPDATE alembic_version SET version_num = 'm20991231_outbox_999'")
    for _ in range(2):
        with pytest.raises(Misconfigured):
            await asyncio.wait_for(migrate(database.owner_url), 10)

    locks = await owner.fetchval(
        "SELECT count(*) FROM pg_locks JOIN pg_database AS d ON d.oid = database"
        " WHERE locktype = 'advisory' AND datname = current_database()"
    )
    await owner.close()
    assert locks == 0


_FOREIGN_KEYS = """
    SELECT c.conrelid::regclass::text || ' -> ' || c.confrelid::regclass AS name, c.confrelid::regclass::text AS parent,
           i.relname AS key, string_agg(format('x.%I = $%s', a.attname, k.place), ' AND ') AS condition,
           string_agg(format_type(a.atttypid, NULL), ', ' ORDER BY k.place) AS types,
           string_agg('NULL', ', ') AS nothing
      FROM pg_constraint AS c JOIN pg_class AS i ON i.oid = c.conindid
     CROSS JOIN unnest(c.confkey) WITH ORDINALITY AS k (attnum, place)
      JOIN pg_attribute AS a ON a.attrelid = c.confrelid AND a.attnum = k.attnum
     WHERE c.contype = 'f' AND c.connamespace = 'public'::regnamespace
     GROUP BY c.oid, c.conrelid, c.confrelid, i.relname
"""


async def test_foreign_keys_are_checked_by_their_own_index_from_the_first_row_on(empty_database: Database) -> None:
    """PostgreSQL plans such a check when a table is empty, and a connection keeps that plan while the table grows."""
    await migrate(empty_database.owner_url)
    admin = await asyncpg.connect(empty_database.admin_url)
    await admin.execute("SET plan_cache_mode = force_generic_plan")
    slow = []
    for number, check in enumerate(await admin.fetch(_FOREIGN_KEYS)):
        await admin.execute(
            f"PREPARE check_{number} ({check['types']}) AS"
            f" SELECT 1 FROM ONLY {check['parent']} AS x WHERE {check['condition']} FOR KEY SHARE OF x"
        )
        plan = await admin.fetch(f"EXPLAIN EXECUTE check_{number} ({check['nothing']})")
        if not any(check["key"] in row[0] for row in plan):
            slow.append(check["name"])
    await admin.close()

    assert slow == []


async def test_a_relay_and_a_worker_refuse_a_database_that_lacks_migrations(
    empty_database: Database, database: Database
) -> None:
    """They would take what fails for want of a column for the fault of a job."""
    async with open_engine(empty_database.admin_url) as empty, open_engine(database.system_url) as migrated:
        with pytest.raises(Misconfigured):
            await refuse_older_schema(empty)

        await refuse_older_schema(migrated)
