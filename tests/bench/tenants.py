"""A tenant that leaves: its export beside a COPY of the same rows, its erasure beside a DELETE of the same rows."""

import asyncio
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from tempfile import TemporaryFile

import asyncpg

from rustok.db.engine import open_engine
from rustok.db.tenant_tables import tenant_tables
from rustok.db.transaction import begin
from rustok.modules.tenants.erasure import Erasure
from rustok.modules.tenants.export import EXPORTED, TenantExport
from rustok.runtime import SystemClock
from tests.bench.stage import Shop, Stage, analyze, open_shop
from tests.bench.table import Finding, Report

_PRODUCTS = 200_000
_FILL = """
    INSERT INTO products (tenant_id, id, status, vendor, version, created_at, updated_at)
    SELECT '{tenant}', gen_random_uuid(), 'draft', 'Acme', 1, now(), now() FROM generate_series(1, {products});
    INSERT INTO product_translations (tenant_id, product_id, locale, title, handle, description)
    SELECT '{tenant}', id, locale, 'City bicycle', locale || id, repeat('A sturdy everyday bicycle. ', 5)
      FROM products, unnest('{{en,de}}'::text[]) AS locale WHERE tenant_id = '{tenant}';
    INSERT INTO variants (tenant_id, id, product_id, position, inventory_policy)
    SELECT '{tenant}', gen_random_uuid(), id, 0, 'deny' FROM products WHERE tenant_id = '{tenant}';
"""
_METHOD = (
    "{products:,} products with two translations and a variant each. Export to a file, as ZIP, beside COPY TO STDOUT "
    "of the same tables, thrown away; erasure in transactions of 5,000 rows beside a DELETE a table in one transaction."
)


def run(stage: Stage) -> Report:
    """Measure export and erasure, in rows a second."""
    return asyncio.run(_run(stage))


async def _run(stage: Stage) -> Report:
    products = _PRODUCTS // 20 if stage.quick else _PRODUCTS
    async with _filled(stage, products) as (shop, admin):
        rows = 4 * products
        copied_s = await _timed(lambda: _copy(admin, shop))
        exported_s = await _timed(lambda: _export(shop))
        erased_s = await _timed(lambda: _erase(shop))
        left = await admin.fetchval("SELECT count(*) FROM products")
    async with _filled(stage, products) as (shop, admin):
        deleted_s = await _timed(lambda: _delete(admin, shop))
    notes = [f"{left} rows were left"] if left else []
    findings = [
        Finding("rows exported", rows / exported_s, "/s", rows / copied_s, "COPY, thrown away"),
        Finding("rows erased", rows / erased_s, "/s", rows / deleted_s, "DELETE in one transaction"),
    ]
    return Report("tenants", _METHOD.format(products=products), findings, notes)


@asynccontextmanager
async def _filled(stage: Stage, products: int) -> AsyncIterator[tuple[Shop, asyncpg.Connection]]:
    """Open a shop with so many products, switched off."""
    async with open_shop(stage) as shop:
        admin = await asyncpg.connect(shop.database.admin_url)
        await admin.execute(_FILL.format(tenant=shop.tenant_id, products=products))
        await admin.execute("UPDATE tenants SET is_active = false")
        await analyze(shop)
        yield shop, admin
        await admin.close()


async def _timed(work: Callable[[], Awaitable[None]]) -> float:
    began_s = time.perf_counter()
    await work()
    return time.perf_counter() - began_s


async def _copy(admin: asyncpg.Connection, shop: Shop) -> None:
    async def forget(_data: bytes) -> None:
        pass

    for table in EXPORTED:
        owner = "id" if table == "tenants" else "tenant_id"
        await admin.copy_from_query(f"SELECT * FROM {table} WHERE {owner} = $1", shop.tenant_id, output=forget)


async def _export(shop: Shop) -> None:
    async with open_engine(shop.database.system_url) as engine:
        with TemporaryFile() as file:
            await TenantExport(engine).write(shop.tenant_id, file)


async def _erase(shop: Shop) -> None:
    async with open_engine(shop.database.system_url) as engine:
        await Erasure(engine, SystemClock()).erase(shop.tenant_id, "operator:bench")


async def _delete(admin: asyncpg.Connection, shop: Shop) -> None:
    async with open_engine(shop.database.system_url) as engine, begin(engine, "BEGIN") as (transaction, _):
        tables = await tenant_tables(transaction)
    async with admin.transaction():
        for table in tables:
            await admin.execute(f"DELETE FROM {table.name} WHERE tenant_id = $1", shop.tenant_id)
        await admin.execute("DELETE FROM tenants WHERE id = $1", shop.tenant_id)
