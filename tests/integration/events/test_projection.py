"""The product index: equal to its source whatever the order, the repetition or the poison."""

import asyncio
import random
from collections.abc import AsyncIterator, Iterable, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any
from uuid import UUID, uuid4

import pytest
from sqlalchemy.ext.asyncio import AsyncConnection

from rustok.catalog import MODULES
from rustok.index.projection import project
from rustok.kernel.errors import RustokError
from rustok.kernel.event import AggregateKey
from rustok.kernel.module import Source
from rustok.modules.commerce.module import COMMERCE
from rustok.modules.commerce.projections import INDEX_PRODUCTS, build_products, load_products
from rustok.testing import Database, FixedClock, PlatformUnderTest
from tests.integration.events.log import connected, redrive, until_waiting
from tests.integration.events.shop import INDEX, Shop, rebuild, replay

pytestmark = pytest.mark.under_fire

Poison = set[UUID]
SIZES = ["S", "M", "L"]


@pytest.fixture
async def shop(shared_database: Database, platform_class: type[PlatformUnderTest]) -> AsyncIterator[Shop]:
    """A tenant of its own."""
    async with platform_class.open(MODULES, shared_database) as platform:
        yield Shop(platform, await platform.create_tenant(f"shop-{uuid4().hex}"))


def keys_of(shop: Shop, products: Iterable[UUID], version: int) -> dict[AggregateKey, int]:
    return {AggregateKey(shop.tenant_id, product): version for product in products}


class BuildRaises:
    """The document cannot be built: the projection knows whose it is."""

    def __init__(self) -> None:
        self.poison: Poison = set()

    def __call__(self, source: Source) -> Sequence[Mapping[str, Any]]:
        if source.row["id"] in self.poison:
            raise ValueError("a lamp without a bulb")
        return build_products(source)


class SqlFails(BuildRaises):
    """The document can be built and not be stored: PostgreSQL refuses the statement of the whole batch."""

    def __call__(self, source: Source) -> Sequence[Mapping[str, Any]]:
        broken = {"price_min": "cheap"} if source.row["id"] in self.poison else {}
        return [{**document, **broken} for document in build_products(source)]


class PoisonedShop(Shop):
    """Its index has a build that fails at will, and a clock that is moved by hand."""

    def __init__(self, platform: PlatformUnderTest, tenant_id: UUID, build: BuildRaises, clock: FixedClock) -> None:
        super().__init__(platform, tenant_id)
        self.build = build
        self.clock = clock

    async def settle_after(self, seconds: float) -> None:
        self.clock.advance(seconds)
        await self.platform.settle()


@pytest.fixture(params=[BuildRaises, SqlFails])
async def poisoned(
    request: pytest.FixtureRequest, shared_database: Database, platform_class: type[PlatformUnderTest]
) -> AsyncIterator[PoisonedShop]:
    build, clock = request.param(), FixedClock(datetime.now(UTC))
    index = replace(INDEX_PRODUCTS, build=build)
    modules = [replace(COMMERCE, projections=(index,)) if module is COMMERCE else module for module in MODULES]
    async with platform_class.open(modules, shared_database, clock) as platform:
        yield PoisonedShop(platform, await platform.create_tenant(f"shop-{uuid4().hex}"), build, clock)


async def test_neighbours_of_a_poisoned_product_are_indexed(poisoned: PoisonedShop) -> None:
    """Forty products in sixteen shards: those of the poisoned one's batch too."""
    products = await poisoned.create(40)
    poisoned.build.poison = {products[7], products[30]}

    await poisoned.platform.settle()

    assert set(await poisoned.versions()) == set(products) - poisoned.build.poison


async def test_a_poisoned_product_is_parked(poisoned: PoisonedShop) -> None:
    """With both events of its creation, which wait."""
    products = await poisoned.create(3)
    poisoned.build.poison = {products[1]}

    await poisoned.platform.settle()

    assert await poisoned.parked() == {products[1]: ("retrying", 2)}


async def test_later_events_of_a_poisoned_product_wait(poisoned: PoisonedShop) -> None:
    """The document that was there before stays until then."""
    [product] = await poisoned.create(1)
    await poisoned.platform.settle()
    poisoned.build.poison = {product}
    version = await poisoned.rename(product, "Bulb", seen=2)
    await poisoned.platform.settle()
    poisoned.build.poison = set()
    await poisoned.rename(product, "Torch", seen=version)

    await poisoned.platform.settle()

    assert await poisoned.parked() == {product: ("retrying", 2)}
    assert await poisoned.versions() == {product: 2}


async def test_a_product_that_heals_is_indexed_at_its_next_attempt(poisoned: PoisonedShop) -> None:
    """As it is now."""
    products = await poisoned.create(2)
    poisoned.build.poison = {products[0]}
    await poisoned.platform.settle()
    poisoned.build.poison = set()

    await poisoned.settle_after(1)

    assert (await poisoned.parked(), await poisoned.documents()) == ({}, await poisoned.expected())


async def test_a_product_is_a_dead_letter_after_five_attempts(poisoned: PoisonedShop) -> None:
    """1, 4, 16 and 64 seconds apart."""
    [product] = await poisoned.create(1)
    poisoned.build.poison = {product}
    states = []

    for pause_s in (0, 1, 4, 16, 64):
        await poisoned.settle_after(pause_s)
        states.append((await poisoned.parked())[product][0])

    assert states == ["retrying"] * 4 + ["dead"]


async def test_a_redriven_product_is_indexed_as_it_is_now(poisoned: PoisonedShop) -> None:
    """All that waited took place in order, and the index is equal to its source again."""
    products = await poisoned.create(2)
    poisoned.build.poison = {products[0]}
    for pause_s in (0, 1, 4, 16, 64):
        await poisoned.settle_after(pause_s)
    await poisoned.rename(products[0], "Torch", seen=2)
    await poisoned.platform.settle()
    poisoned.build.poison = set()

    await redrive(poisoned.platform.system_engine, poisoned.tenant_id)
    await poisoned.settle_after(60)

    assert (await poisoned.parked(), await poisoned.documents()) == ({}, await poisoned.expected())


@asynccontextmanager
async def transaction(shop: Shop) -> AsyncIterator[AsyncConnection]:
    async with shop.platform.system_engine.begin() as connection:
        yield connection


_HOLD = {
    "new": "INSERT INTO index_versions VALUES ($1, $2, $3, 0)",
    "known": "SELECT 1 FROM index_versions WHERE (projection, tenant_id, aggregate_id) = ($1, $2, $3) FOR UPDATE",
}


@pytest.mark.parametrize("known", _HOLD)
async def test_projecting_the_same_products_in_opposite_orders_does_not_deadlock(shop: Shop, known: str) -> None:
    """Every transaction takes the keys in their own order, whatever the order it was told.

    A third one holds the key in the middle until both wait: in the order they were told, each would by then
    have what the other needs next.
    """
    products = sorted(await shop.create(9))
    if known == "known":
        await shop.platform.settle()

    async def projected(order: Iterable[UUID]) -> None:
        async with transaction(shop) as connection:
            await project(connection, INDEX_PRODUCTS, keys_of(shop, order, 3))

    async with (
        connected(shop.platform.database.admin_url) as holder,
        connected(shop.platform.database.admin_url) as watcher,
    ):
        await holder.execute("BEGIN")
        await holder.execute(_HOLD[known], INDEX, shop.tenant_id, products[4])
        both = [asyncio.create_task(projected(order)) for order in (products, products[::-1])]
        await until_waiting(watcher, "%index_versions%", *both)
        await holder.execute("COMMIT")
        outcomes = await asyncio.gather(*both, return_exceptions=True)

    assert outcomes == [None, None]


@pytest.mark.parametrize("known", [False, True], ids=["new", "known"])
async def test_whoever_has_read_an_older_source_does_not_overwrite_a_newer_document(shop: Shop, known: bool) -> None:
    """The key is locked before the source is read, so the second reads after the first has written."""
    [product] = await shop.create(1)
    if known:
        await shop.platform.settle()
    version = await shop.rename(product, "Lamp", seen=2)
    has_read, may_write = asyncio.Event(), asyncio.Event()

    async def slow_load(connection: AsyncConnection, keys: Iterable[AggregateKey]) -> Mapping[AggregateKey, Source]:
        found = await load_products(connection, keys)
        has_read.set()
        await may_write.wait()
        return found

    async def projected(load: Any, version: int) -> None:
        async with transaction(shop) as connection:
            await project(connection, replace(INDEX_PRODUCTS, load=load), keys_of(shop, [product], version))

    slow = asyncio.create_task(projected(slow_load, version))
    await has_read.wait()
    newer = await shop.rename(product, "Torch", seen=version)
    quick = asyncio.create_task(projected(load_products, newer))
    async with connected(shop.platform.database.admin_url) as admin:
        await until_waiting(admin, "%index_versions%", quick)
    may_write.set()
    await asyncio.gather(slow, quick)

    assert await shop.versions() == {product: newer}
    assert await shop.documents() == await shop.expected()


async def test_an_event_of_an_older_version_changes_nothing(shop: Shop) -> None:
    """Its aggregate is there already: not even its source is read."""
    [product] = await shop.create(1)
    await shop.platform.settle()

    async def never(_connection: Any, _keys: Any) -> Mapping[AggregateKey, Source]:
        raise AssertionError("the source was read")

    async with transaction(shop) as connection:
        await project(connection, replace(INDEX_PRODUCTS, load=never), keys_of(shop, [product], 2))

    assert await shop.versions() == {product: 2}


async def test_a_deleted_product_leaves_the_index(shop: Shop) -> None:
    """In every locale; what remains is a tombstone with the version of its deletion."""
    [product] = await shop.create(1)
    await shop.platform.settle()
    version = (await shop.run("products.unpublish", product_id=str(product))).version
    deleted = await shop.run("products.delete", seen=version, product_id=str(product))

    await shop.platform.settle()

    async with connected(shop.platform.database.admin_url) as admin:
        tombstone = await admin.fetchrow(
            "SELECT version, is_deleted FROM index_versions WHERE aggregate_id = $1", product
        )
    assert (await shop.documents(), tuple(tombstone)) == ([], (deleted.version, True))


async def test_a_tombstone_stops_a_late_event_from_bringing_a_product_back(shop: Shop) -> None:
    """Even where a reader still has the source as it was."""
    [product] = await shop.create(1)
    async with transaction(shop) as connection:
        remembered = await load_products(connection, keys_of(shop, [product], 2))
    version = (await shop.run("products.unpublish", product_id=str(product))).version
    await shop.run("products.delete", seen=version, product_id=str(product))
    await shop.platform.settle()

    async def load_from_memory(_connection: Any, _keys: Any) -> Mapping[AggregateKey, Source]:
        return remembered

    async with transaction(shop) as connection:
        await project(connection, replace(INDEX_PRODUCTS, load=load_from_memory), keys_of(shop, [product], 2))

    assert await shop.documents() == []


async def test_a_locale_that_was_removed_leaves_the_index(shop: Shop) -> None:
    """What an earlier version wrote and this one does not is deleted."""
    translations = {"en": {"title": "Lamp"}, "de": {"title": "Lampe"}}
    product = await shop.run("products.create", status="active", translations=translations)
    await shop.platform.settle()
    await shop.run("translations.delete", seen=2, product_id=str(product.id), locale="de")

    await shop.platform.settle()

    assert [document["locale"] for document in await shop.documents()] == ["en"]


async def test_the_index_of_a_random_history_is_equal_to_its_source(rustok: PlatformUnderTest) -> None:
    """300 commands on two tenants, seed 20260201: the index, a rebuild from empty and a join of the source agree."""
    shops = [Shop(rustok, await rustok.create_tenant(slug)) for slug in ("north", "south")]
    history = History(shops, seed=20260201)
    await history.run(300)
    await rustok.settle()

    kept = [await shop.documents() for shop in shops]
    joined = [await shop.expected() for shop in shops]
    await rebuild(rustok)
    rebuilt = [await shop.documents() for shop in shops]

    assert all(len(documents) >= 5 for documents in kept), "the history was meant to leave more behind"
    assert kept == joined
    assert rebuilt == joined


async def test_replaying_the_whole_log_changes_nothing(rustok: PlatformUnderTest) -> None:
    """Three times, after a random history of 60 commands with seed 3."""
    shop = Shop(rustok, await rustok.create_tenant())
    await History([shop], seed=3).run(60)
    await rustok.settle()
    before = await shop.documents()

    for _ in range(3):
        await replay(rustok)

    assert await shop.documents() == before
    assert before == await shop.expected()


class History:
    """Random commands, some of which the rules refuse; the projections catch up now and then."""

    def __init__(self, shops: Sequence[Shop], seed: int) -> None:
        self._shops = shops
        self._chance = random.Random(seed)
        self._products: dict[UUID, list[Any]] = {shop.tenant_id: [] for shop in shops}

    async def run(self, commands: int) -> None:
        for number in range(commands):
            shop = self._chance.choice(self._shops)
            try:
                await self._step(shop, number)
            except RustokError:  # a rule says no, which is part of the history
                continue
            finally:
                if self._chance.random() < 0.1:
                    await shop.platform.settle()

    async def _step(self, shop: Shop, number: int) -> None:
        chance, products = self._chance, self._products[shop.tenant_id]
        if len(products) < 5 or chance.random() < 0.1:
            products.append(await shop.run("products.create", **self._new_product(number)))
            return
        place = chance.randrange(len(products))
        product = products[place]
        command, fields = self._change(product, number)
        changed = await shop.run(command, seen=product.version, product_id=str(product.id), **fields)
        if command == "products.delete":
            del products[place]
        else:
            products[place] = changed

    def _new_product(self, number: int) -> dict[str, Any]:
        return {
            "status": self._chance.choice(["draft", "active", "active"]),
            "vendor": self._chance.choice([None, "Acme", "Grüße & Co"]),
            "tags": self._chance.sample(["red", "blue", "on 'sale'"], k=2),
            "seo": {"robots": "none"} if number % 3 else {},
            "translations": {
                locale: {"title": f"Lamp {number} {locale}", "description": "A lamp for the table"}
                for locale in self._chance.sample(["en", "de", "ru"], k=2)
            },
            "options": [{"name": "Size", "choices": SIZES}, {"name": "Shade", "choices": ["none"]}][: number % 3],
            "variants": [
                {"sku": f"{size}-{number}", "option1": size, "prices": {"EUR": self._price()}}
                for size in self._chance.sample(SIZES, k=2)
            ]
            if number % 3 == 1
            else [],
        }

    def _price(self) -> dict[str, Any]:
        amount = self._chance.randrange(100, 1000)
        return {"amount": amount, "compare_at": self._chance.choice([None, amount, amount + 50])}

    def _change(self, product: Any, number: int) -> tuple[str, dict[str, Any]]:
        chance = self._chance
        variant = str(chance.choice(product.variants).id) if product.variants else str(UUID(int=number))
        locale, currency = chance.choice(["en", "de", "ru", "pt-BR"]), chance.choice(["EUR", "USD"])
        size = chance.choice(SIZES)
        changes: list[tuple[str, dict[str, Any]]] = [
            ("products.update", {"vendor": chance.choice([None, "Acme", "Lux"]), "tags": [f"t{number}"]}),
            ("products.publish", {}),
            ("products.unpublish", {}),
            ("products.delete", {}),
            (
                "translations.set",
                {"locale": locale, "title": f"Torch {number}", "meta_title": chance.choice([None, "M"])},
            ),
            ("translations.delete", {"locale": locale}),
            ("variants.add", {"sku": f"A-{number}", "option1": size, "prices": {currency: self._price()}}),
            ("variants.update", {"variant_id": variant, "sku": chance.choice([None, f"U-{number}"])}),
            ("variants.delete", {"variant_id": variant}),
            ("prices.set", {"variant_id": variant, "currency": currency, **self._price()}),
            ("prices.delete", {"variant_id": variant, "currency": currency}),
        ]
        return chance.choices(changes, weights=[2, 3, 1, 1, 3, 1, 3, 2, 1, 4, 1])[0]
