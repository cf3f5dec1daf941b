"""A tenant is erased: nothing of it is left in any table, nothing of another one is touched, whatever is killed."""

import asyncio
import sys
from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any
from uuid import UUID

import asyncpg
import pytest
from sqlalchemy import text

from rustok.catalog import MODULES
from rustok.db.engine import open_engine
from rustok.db.tenant_tables import tenant_tables
from rustok.db.transaction import begin
from rustok.kernel.ids import uuid7
from rustok.modules.tenants.erasure import WAITING, Erasure, ErasureConfig, TenantStillEnabled, list_erasures
from rustok.modules.tenants.errors import TenantBeingErased, TenantNotFound
from rustok.runtime import SystemClock
from rustok.testing import Database, PlatformUnderTest
from tests.integration.db import tenant_tables as as_tests_know_them
from tests.integration.db.tenants_with_everything import tenants_with_everything
from tests.under_fire import engine_of_processes, insist
from tests.waiting import eventually_async

OPERATOR = "operator:somebody"
_TABLES = """
    SELECT relname FROM pg_class WHERE relkind = 'r' AND relnamespace = 'public'::regnamespace ORDER BY relname
"""
_ALL_ROWS = "SELECT count(*), md5(string_agg(t::text, chr(10) ORDER BY t::text)) FROM {table} AS t WHERE tenant_id = $1"
_MENTIONS = "SELECT count(*) FROM {table} AS t WHERE strpos(t::text, $1) > 0"
_ERASED = (
    "SELECT coalesce(sum(count::bigint), 0)::bigint FROM erased_tenants, jsonb_each_text(rows) AS each (name, count)"
)
_INSERT = text(
    """
    INSERT INTO index_versions (projection, tenant_id, aggregate_id, version, is_deleted)
    VALUES ('late', :tenant_id, gen_random_uuid(), 1, false)
    """
)

Rows = Mapping[str, tuple[int, str | None]]
"""How many rows of each table a tenant has, and their checksum."""


@dataclass(frozen=True, slots=True)
class TwoTenants:
    """One that is switched off and is going to be erased, and one that stays. Both have a row in every table."""

    platform: PlatformUnderTest
    admin: asyncpg.Connection
    erased: UUID
    other: UUID

    async def rows(self, tenant_id: UUID) -> Rows:
        tables = await as_tests_know_them.tenant_tables(self.admin)
        return {table: tuple(await self.admin.fetchrow(_ALL_ROWS.format(table=table), tenant_id)) for table in tables}

    async def mentions(self, tenant_id: UUID) -> Mapping[str, int]:
        """Return where the id of a tenant is still to be found, in whatever column of whatever table."""
        tables = [row["relname"] for row in await self.admin.fetch(_TABLES)]
        found = {table: await self.admin.fetchval(_MENTIONS.format(table=table), str(tenant_id)) for table in tables}
        return {table: count for table, count in found.items() if count}

    def erasure(self, **parts: Any) -> Erasure:
        return Erasure(engine_of_processes(self.platform), SystemClock(), **parts)

    async def erase(self, **parts: Any) -> None:
        """Erase it as an operator does: under fire again and again, until that has ended or is seen to have."""
        await insist(self.platform, partial(self._go_on, self.erasure(**parts)))

    async def _go_on(self, erasure: Erasure) -> None:
        try:
            await erasure.erase(self.erased, OPERATOR)
        except TenantNotFound:
            [record] = await list_erasures(self.platform.system_engine)
            assert record.ended_at is not None

    async def assert_erased(self, before: Rows, others: Rows) -> None:
        """Check that nothing is left, that each row was counted once, and that the other tenant has what it had."""
        assert await self.mentions(self.erased) == {"erased_tenants": 1}
        [record] = await list_erasures(self.platform.system_engine)
        assert (record.id, record.requested_by) == (self.erased, OPERATOR)
        assert record.ended_at is not None
        assert record.rows == {table: count for table, (count, _) in before.items()}
        assert await self.rows(self.other) == others


@pytest.fixture
async def tenants(database: Database, platform_class: type[PlatformUnderTest]) -> AsyncIterator[TwoTenants]:
    async with platform_class.open(MODULES, database) as platform:
        admin = await asyncpg.connect(database.admin_url)
        erased, other = await tenants_with_everything(platform, admin, "acme", "globex")
        for tenant in (erased, other):
            await give_a_tree(platform, tenant)
        await platform.run("tenants.tenants.disable", erased)
        yield TwoTenants(platform, admin, erased, other)
        await admin.close()


async def give_a_tree(platform: PlatformUnderTest, tenant: UUID) -> None:
    """Give a tenant nodes that name others, older and younger ones."""
    parent: str | None = None
    for number in range(6):
        texts = {"en": {"title": f"Page {number}"}}
        node = await platform.run("content.nodes.create", tenant, kind="faq", translations=texts, parent_id=parent)
        parent = str(node.id)


@pytest.mark.under_fire
async def test_the_log_goes_on_behind_what_was_erased(tenants: TwoTenants) -> None:
    """The erased tenant has written last: consumers that have read that must see what others write next."""
    platform = tenants.platform
    await platform.settle()
    last = (await platform.events())[-1]
    assert last.envelope.tenant_id == tenants.erased

    await tenants.erase()
    product = await platform.run(
        "commerce.products.create", tenants.other, status="active", translations={"en": {"title": "Unicycle"}}
    )
    await platform.settle()

    assert min(e.position for e in await platform.events() if e.envelope.aggregate_id == product.id) > last.position
    page = await platform.query("index.products.search", tenants.other, locale="en", q="unicycle")
    assert [hit.product_id for hit in page.data] == [product.id]


@pytest.mark.under_fire
async def test_a_neighbour_who_follows_his_events_goes_on(tenants: TwoTenants) -> None:
    """What is gone of the log was not his: his cursor is as good as before, from wherever it is."""
    platform = tenants.platform
    await platform.settle()
    start = await platform.query("outbox.events.list", tenants.other, type="no.such", limit=1)
    first = await platform.query("outbox.events.list", tenants.other, limit=1)

    await tenants.erase()

    for page, kind in ((start, "no.such"), (first, "*")):
        await platform.query("outbox.events.list", tenants.other, type=kind, after=page.page.next)


@pytest.mark.under_fire
@pytest.mark.parametrize("config", [ErasureConfig(), ErasureConfig(rows=1, pages=1)], ids=["at once", "bit by bit"])
async def test_nothing_of_it_is_left(tenants: TwoTenants, config: ErasureConfig) -> None:
    """In no table and no column; its record has no name. Its neighbour keeps every row as it is."""
    before, others = await tenants.rows(tenants.erased), await tenants.rows(tenants.other)
    assert all(count for count, _ in before.values())

    await tenants.erase(config=config)

    await tenants.assert_erased(before, others)
    assert "acme" not in str(await list_erasures(tenants.platform.system_engine))


async def test_every_table_is_emptied_before_those_that_it_refers_to(tenants: TwoTenants) -> None:
    """They are found as PostgreSQL has them: a new table needs nobody who remembers it."""
    async with begin(tenants.platform.system_engine, "BEGIN") as (transaction, _):
        tables = await tenant_tables(transaction)

    names = [table.name for table in tables]
    assert sorted(names) == sorted(await as_tests_know_them.tenant_tables(tenants.admin))
    assert [
        (t.name, r) for t in tables for r in t.refers_to if r in names and names.index(r) < names.index(t.name)
    ] == []


async def test_only_what_is_switched_off_is_erased(tenants: TwoTenants) -> None:
    """And what there is."""
    with pytest.raises(TenantStillEnabled):
        await tenants.erasure().erase(tenants.other, OPERATOR)
    with pytest.raises(TenantNotFound):
        await tenants.erasure().erase(uuid7(), OPERATOR)

    assert await list_erasures(tenants.platform.system_engine) == []


async def test_its_name_and_domain_are_free_again(tenants: TwoTenants) -> None:
    """Whoever has them next has nothing of the former."""
    await tenants.platform.run("tenants.domains.add", tenants.erased, domain="shop.example")
    await tenants.erase()

    successor = await tenants.platform.create_tenant("acme")
    await tenants.platform.run("tenants.domains.add", successor, domain="shop.example")

    with pytest.raises(TenantNotFound):
        await tenants.erasure().erase(tenants.erased, OPERATOR)
    assert await tenants.mentions(tenants.erased) == {"erased_tenants": 1}


@pytest.mark.under_fire
async def test_what_is_being_erased_is_not_switched_on(tenants: TwoTenants) -> None:
    """Half of it is gone."""
    steps = iter(range(10))

    def stop(_step: str, _deleted: int) -> None:
        if next(steps) == 9:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        await tenants.erase(told=stop)

    with pytest.raises(TenantBeingErased):
        await tenants.platform.run("tenants.tenants.enable", tenants.erased)
    [record] = await list_erasures(tenants.platform.system_engine)
    assert record.ended_at is None


async def test_what_was_under_way_when_it_began_is_erased_as_well(tenants: TwoTenants) -> None:
    """A transaction that began before and commits when its tables were emptied."""
    before, others = await tenants.rows(tenants.erased), await tenants.rows(tenants.other)
    has_waited = asyncio.Event()

    def told(step: str, _deleted: int) -> None:
        if step == WAITING:
            has_waited.set()

    async with open_engine(tenants.platform.database.system_url) as engine:
        async with begin(engine, "BEGIN") as (transaction, _):
            await transaction.execute(_INSERT, {"tenant_id": tenants.erased})
            erasing = asyncio.create_task(tenants.erase(told=told))
            await has_waited.wait()
        await erasing

    versions, checksum = before["index_versions"]
    await tenants.assert_erased({**before, "index_versions": (versions + 1, checksum)}, others)


@pytest.mark.parametrize(
    "kills",
    [
        pytest.param(3, marks=pytest.mark.timeout(300), id="3"),
        pytest.param(20, marks=[pytest.mark.deep, pytest.mark.timeout(900)], id="20"),
    ],
)
async def test_killed_at_any_moment_it_ends_the_same(tenants: TwoTenants, kills: int) -> None:
    """The next one goes on, and no row is counted twice."""
    before, others = await tenants.rows(tenants.erased), await tenants.rows(tenants.other)
    total = sum(count for count, _ in before.values())
    arguments = (tenants.platform.database.system_url, str(tenants.erased))

    for kill in range(kills):
        process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "tests.integration.erase_slowly", *arguments)
        )

        async def has_come_far(enough: int = total * (kill + 1) // (kills + 1)) -> bool:
            return int(await tenants.admin.fetchval(_ERASED)) >= enough

        await eventually_async(has_come_far)
        process.kill()
        assert await process.wait() == -9
    [record] = await list_erasures(tenants.platform.system_engine)
    assert record.ended_at is None
    await tenants.erase()

    await tenants.assert_erased(before, others)
