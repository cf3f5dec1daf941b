"""A tenant is exported: all that it has at one moment, nothing of another one, no secret."""

import asyncio
import hashlib
import io
import json
import tracemalloc
import zipfile
from collections.abc import AsyncIterator, Iterator, Mapping
from dataclasses import dataclass
from functools import partial
from tempfile import TemporaryFile
from threading import Thread
from typing import IO, Any
from uuid import UUID

import asyncpg
import pytest

from rustok.catalog import MODULES
from rustok.modules.alloy import CALL
from rustok.modules.tenants.export import EXPORTED, LEFT_OUT, SECRET, TenantExport
from rustok.testing import Database, PlatformUnderTest
from tests.integration.db.tenant_tables import tenant_tables
from tests.integration.db.tenants_with_everything import tenants_with_everything
from tests.under_fire import engine_of_processes, insist

_LARGE = """
    INSERT INTO products (tenant_id, id, status, vendor, version, created_at, updated_at)
    SELECT $1, gen_random_uuid(), 'draft', repeat('x', 1000), 1, now(), now() FROM generate_series(1, 20000)
"""
_WRITE = """
    INSERT INTO product_imports (tenant_id, source, next_line, imported, rejected, updated_at)
    VALUES ($1, gen_random_uuid()::text, 1, 0, 0, now())
"""
_MEMORY_BYTES = 8_000_000


@dataclass(frozen=True, slots=True)
class Exported:
    manifest: Mapping[str, Any]
    files: Mapping[str, bytes]

    def rows(self, table: str) -> list[Any]:
        return [json.loads(line) for line in self.files[f"{table}.jsonl"].splitlines()]


@dataclass(frozen=True, slots=True)
class TwoTenants:
    """Both have a row in every table."""

    platform: PlatformUnderTest
    admin: asyncpg.Connection
    ours: UUID
    theirs: UUID

    async def export(self, **parts: Any) -> Exported:
        file, manifest = await insist(self.platform, partial(self._export, **parts))
        with zipfile.ZipFile(file) as archive:
            files = {name: archive.read(name) for name in archive.namelist()}
        assert json.loads(files["manifest.json"]) == manifest
        return Exported(manifest, files)

    async def _export(self, **parts: Any) -> tuple[IO[bytes], Mapping[str, Any]]:
        file = io.BytesIO()
        return file, await TenantExport(engine_of_processes(self.platform), **parts).write(self.ours, file)


@pytest.fixture
async def tenants(database: Database, platform_class: type[PlatformUnderTest]) -> AsyncIterator[TwoTenants]:
    async with platform_class.open(MODULES, database) as platform:
        admin = await asyncpg.connect(database.admin_url)
        yield TwoTenants(platform, admin, *await tenants_with_everything(platform, admin, "ours", "theirs"))
        await admin.close()


async def test_every_table_with_rows_of_tenants_has_a_decision(tenants: TwoTenants) -> None:
    """Whoever makes a new one says whether it is exported, or why not."""
    tables = await tenant_tables(tenants.admin)

    assert sorted([*EXPORTED, *LEFT_OUT]) == sorted([*tables, "tenants"])


@pytest.mark.under_fire
async def test_all_rows_are_in_it_and_none_of_another_tenant(tenants: TwoTenants) -> None:
    """As the manifest says: how many, with which digest, of which columns."""
    exported = await tenants.export()

    assert exported.files.keys() == {"manifest.json", *(f"{table}.jsonl" for table in EXPORTED)}
    for table, told in exported.manifest["tables"].items():
        owner = "id" if table == "tenants" else "tenant_id"
        rows = exported.rows(table)
        count = await tenants.admin.fetchval(f"SELECT count(*) FROM {table} WHERE {owner} = $1", tenants.ours)
        assert (len(rows), told["rows"]) == (count, count)
        assert count
        assert told["sha256"] == hashlib.sha256(exported.files[f"{table}.jsonl"]).hexdigest()
        assert all(row.keys() == told["columns"].keys() for row in rows)
        assert {row[owner] for row in rows} == {str(tenants.ours)}
    assert str(tenants.theirs) not in str(exported.files)


@pytest.mark.under_fire
async def test_texts_are_in_it_as_they_were_written(tenants: TwoTenants) -> None:
    """Whatever they hold: nothing of them ends a line, or a text."""
    title = 'quote " backslash \\ newline \n tab \t line separator \u2028 control \u0001\u0002 ✓'
    await tenants.platform.run("commerce.products.create", tenants.ours, translations={"de": {"title": title}})

    exported = await tenants.export()

    assert title in [row["title"] for row in exported.rows("product_translations")]


@pytest.mark.under_fire
async def test_no_secret_is_in_it(tenants: TwoTenants) -> None:
    """Neither what opens doors nor what secrets are kept as."""
    await tenants.platform.run("alloy.secrets.set", tenants.ours, name="token", value="hunter2")

    exported = await tenants.export()

    assert "script_data_keys" in LEFT_OUT
    for table, columns in SECRET.items():
        values = [
            value.hex() if isinstance(value, bytes) else str(value)
            for column in columns
            for value in [row[0] for row in await tenants.admin.fetch(f"SELECT {column} FROM {table}")]
        ]
        assert values
        assert [value for value in values if len(value) > 2 and value in str(exported.files)] == []
        assert not set(columns) & exported.manifest["tables"][table]["columns"].keys()
    assert "token" in [row["name"] for row in exported.rows("script_secrets")]


@pytest.mark.under_fire
async def test_what_hooks_have_sent_is_not_in_it(tenants: TwoTenants) -> None:
    """A hook may put a secret that it was shown into a call; the job keeps what it had sent."""
    sent = '{"url": "https://example.com", "headers": {"x": "hunter2"}}'
    await tenants.admin.execute("UPDATE finished_jobs SET kind = $1, args = CAST($2 AS text)::jsonb", CALL.name, sent)

    exported = await tenants.export()

    assert {(row["kind"], row["args"]) for row in exported.rows("finished_jobs")} == {(CALL.name, None)}
    assert "hunter2" not in str(exported.files)


async def test_it_is_of_one_moment(tenants: TwoTenants) -> None:
    """What is written while it goes on is in none of its tables."""
    before = {table: told["rows"] for table, told in (await tenants.export()).manifest["tables"].items()}

    def write(_table: str, _rows: int) -> None:
        """Add to a table that is yet to come, from a thread of its own: the export has this one."""
        writer = Thread(target=asyncio.run, args=(_write(tenants),))
        writer.start()
        writer.join()

    exported = await tenants.export(told=write)

    assert {table: told["rows"] for table, told in exported.manifest["tables"].items()} == before
    count = await tenants.admin.fetchval("SELECT count(*) FROM product_imports WHERE tenant_id = $1", tenants.ours)
    assert count == before["product_imports"] + len(EXPORTED)


@pytest.fixture
def file() -> Iterator[IO[bytes]]:
    with TemporaryFile() as file:
        yield file


async def test_its_memory_does_not_grow_with_the_tenant(tenants: TwoTenants, file: IO[bytes]) -> None:
    """Twenty megabytes of rows, and a bound that they do not fit."""
    await tenants.admin.execute(_LARGE, tenants.ours)
    tracemalloc.start()

    manifest = await TenantExport(tenants.platform.system_engine).write(tenants.ours, file)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()

    assert manifest["tables"]["products"]["rows"] == 20_001
    assert peak < _MEMORY_BYTES


async def _write(tenants: TwoTenants) -> None:
    admin = await asyncpg.connect(tenants.platform.database.admin_url)
    await admin.execute(_WRITE, tenants.ours)
    await admin.close()
