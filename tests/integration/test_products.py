"""The rules of products, from the outside of their commands."""

from typing import Any
from uuid import UUID

import pytest

from rustok.dispatch import Call, ItemFailed
from rustok.kernel.errors import Forbidden, InvalidInput, VersionMismatch, VersionRequired
from rustok.modules.commerce import errors
from rustok.testing import PlatformUnderTest, a_context
from tests.integration.test_product_to_index import a_product

pytestmark = pytest.mark.under_fire

SIZES = [{"name": "Size", "choices": ["S", "M"]}]


async def create(rustok: PlatformUnderTest, tenant: UUID, **fields: Any) -> Any:
    return await rustok.run("commerce.products.create", tenant, **a_product(**fields))


async def test_a_product_is_stored_with_all_that_belongs_to_it(rustok: PlatformUnderTest) -> None:
    """What the command answers is what a query reads."""
    tenant = await rustok.create_tenant()
    created = await create(
        rustok, tenant, options=SIZES, variants=[{"sku": "S", "option1": "S"}, {"sku": "M", "option1": "M"}]
    )

    read = await rustok.query("commerce.products.get", tenant, product_id=str(created.id))

    assert read == created
    assert [variant.sku for variant in read.variants] == ["S", "M"]


async def test_every_change_raises_the_version_by_one(rustok: PlatformUnderTest) -> None:
    """The version is the aggregate's: it counts its events."""
    tenant = await rustok.create_tenant()
    product = await create(rustok, tenant, status="draft")
    [variant] = product.variants
    one: dict[str, Any] = {"product_id": str(product.id)}
    price = {**one, "variant_id": str(variant.id), "currency": "USD", "amount": 1}
    steps: list[tuple[str, dict[str, Any]]] = [
        ("commerce.products.update", {**one, "vendor": None}),
        ("commerce.translations.set", {**one, "locale": "ru", "title": "Велосипед"}),
        ("commerce.translations.delete", {**one, "locale": "ru"}),
        ("commerce.options.set", {**one, "options": []}),
        ("commerce.variants.update", {**one, "variant_id": str(variant.id), "weight_g": 9}),
        ("commerce.prices.set", price),
        ("commerce.prices.delete", {**one, "variant_id": str(variant.id), "currency": "USD"}),
        ("commerce.variants.delete", {**one, "variant_id": str(variant.id)}),
        ("commerce.variants.add", {**one, "sku": "NEW"}),
        ("commerce.products.publish", one),
        ("commerce.products.unpublish", one),
        ("commerce.products.delete", one),
    ]

    versions = []
    seen = product.version
    for command, fields in steps:
        seen = (await rustok.run(command, tenant, seen=seen, **fields)).version
        versions.append(seen)

    assert versions == list(range(2, 2 + len(steps)))


async def test_an_empty_change_is_no_event(rustok: PlatformUnderTest) -> None:
    """Publishing what is published, or changing nothing, leaves the version alone."""
    tenant = await rustok.create_tenant()
    product = await create(rustok, tenant)
    one: dict[str, Any] = {"product_id": str(product.id)}

    published = await rustok.run("commerce.products.publish", tenant, **one)
    updated = await rustok.run("commerce.products.update", tenant, seen=product.version, **one)

    assert (published.version, updated.version) == (product.version, product.version)


async def test_a_change_states_the_version_it_has_seen(rustok: PlatformUnderTest) -> None:
    """Without a version, or with an old one, nothing changes."""
    tenant = await rustok.create_tenant()
    product = await create(rustok, tenant)

    with pytest.raises(VersionRequired):
        await rustok.run("commerce.products.update", tenant, product_id=str(product.id), vendor="Other")
    with pytest.raises(VersionMismatch):
        await rustok.run("commerce.products.update", tenant, seen=1, product_id=str(product.id), vendor="Other")

    assert await rustok.query("commerce.products.get", tenant, product_id=str(product.id)) == product


async def test_a_new_title_keeps_the_address(rustok: PlatformUnderTest) -> None:
    """A handle changes only when somebody says so: links to the product stay good."""
    tenant = await rustok.create_tenant()
    product = await create(rustok, tenant, translations={"en": {"title": "Ketle"}})

    corrected = await rustok.run(
        "commerce.translations.set", tenant, seen=2, product_id=str(product.id), locale="en", title="Kettle"
    )

    assert (corrected.translations["en"].title, corrected.translations["en"].handle) == ("Kettle", "ketle")


async def test_creating_a_published_product_wants_the_right_to_publish(rustok: PlatformUnderTest) -> None:
    """There is no way around a permission."""
    tenant = await rustok.create_tenant()
    writer = a_context(tenant, frozenset({"commerce.products.write"}))
    call = Call(rustok.registry.commands["commerce.products.create"], a_product())

    with pytest.raises(Forbidden, match=r"commerce\.products\.publish"):
        await rustok.platform.dispatcher.run(call, writer)


async def test_a_published_product_cannot_be_deleted(rustok: PlatformUnderTest) -> None:
    """Unpublish first: a storefront's product never vanishes by one call."""
    tenant = await rustok.create_tenant()
    product = await create(rustok, tenant)

    with pytest.raises(errors.ProductPublished):
        await rustok.run("commerce.products.delete", tenant, seen=product.version, product_id=str(product.id))


async def test_another_tenants_product_does_not_exist(rustok: PlatformUnderTest) -> None:
    """Every command answers as if the id had never been."""
    ours, theirs = await rustok.create_tenant("acme"), await rustok.create_tenant("globex")
    product = await create(rustok, ours)
    one: dict[str, Any] = {"product_id": str(product.id)}

    for command, fields in (
        ("commerce.products.update", {"vendor": "Thief"}),
        ("commerce.products.delete", {}),
        ("commerce.products.publish", {}),
        ("commerce.translations.set", {"locale": "en", "title": "Thief"}),
        ("commerce.variants.add", {"sku": "THIEF"}),
    ):
        with pytest.raises(errors.ProductNotFound):
            await rustok.run(command, theirs, seen=product.version, **one, **fields)

    assert await rustok.query("commerce.products.get", ours, **one) == product


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        ({"variants": [{"sku": "OTHER"}]}, errors.DuplicateHandle),
        ({"translations": {"en": {"title": "Other"}}}, errors.DuplicateSku),
        (
            {"translations": {"en": {"title": "Other"}}, "variants": [{}, {}]},
            errors.DuplicateOptions,
        ),
        (
            {"translations": {"en": {"title": "Other"}}, "variants": [{"option1": "S"}]},
            errors.OptionsMismatch,
        ),
    ],
    ids=["handle", "sku", "same options", "no such option"],
)
async def test_what_contradicts_the_stored_is_refused_whole(
    rustok: PlatformUnderTest, change: dict[str, Any], expected: type[Exception]
) -> None:
    """A refused product leaves neither rows nor events."""
    tenant = await rustok.create_tenant()
    first = await create(rustok, tenant)

    with pytest.raises(expected):
        await create(rustok, tenant, **change)

    page = await rustok.query("commerce.products.list", tenant)
    await rustok.settle()
    assert [product.id for product in page.data] == [first.id]
    async with rustok.system_engine.connect() as connection:
        events = await connection.exec_driver_sql("SELECT count(*) FROM event_log WHERE aggregate_type = 'product'")
        assert events.scalar_one() == 2


@pytest.mark.parametrize(
    ("change", "pointer"),
    [
        ({"translations": {}}, "/translations"),
        ({"translations": {"english": {"title": "X"}}}, "/translations/english"),
        ({"translations": {"en": {"title": "x" * 256}}}, "/translations/en/title"),
        ({"translations": {"en": {"title": "X", "handle": "Not a slug"}}}, "/translations/en/handle"),
        ({"variants": [{"prices": {"EUR": {"amount": -1}}}]}, "/variants/0/prices/EUR/amount"),
        ({"variants": [{"prices": {"EUR": {"amount": 5, "compare_at": 4}}}]}, "/variants/0/prices/EUR"),
        ({"variants": [{"prices": {"EUR": {"amount": "5"}}}]}, "/variants/0/prices/EUR/amount"),
        ({"options": [{"name": "Size", "choices": ["S", "S"]}]}, "/options/0/choices"),
        ({"options": [*SIZES, *SIZES]}, "/options"),
        ({"options": [{"name": "x" * 101, "choices": ["S"]}]}, "/options/0/name"),
        ({"colour": "red"}, "/colour"),
        ({"seo": {"huge": "x" * 70_000}}, "/seo"),
    ],
)
async def test_a_fault_of_the_input_is_named_by_its_pointer(
    rustok: PlatformUnderTest, change: dict[str, Any], pointer: str
) -> None:
    """The limits of a product, each with the place that breaks it."""
    tenant = await rustok.create_tenant()

    with pytest.raises(InvalidInput) as caught:
        await create(rustok, tenant, **change)

    assert [violation.pointer for violation in caught.value.violations] == [pointer]


async def test_commands_run_together_are_done_together(rustok: PlatformUnderTest) -> None:
    """Several commands in one transaction: all of them, or none and no event."""
    tenant = await rustok.create_tenant()
    create_command = rustok.registry.commands["commerce.products.create"]
    first, second = (Call(create_command, a_product(variants=[], translations={"en": {"title": t}})) for t in "AB")
    context = rustok.context(tenant)

    third = Call(create_command, a_product(variants=[], translations={"en": {"title": "C"}}))

    created = await rustok.platform.dispatcher.run_atomic([first, second], context)
    with pytest.raises(ItemFailed) as refused:
        await rustok.platform.dispatcher.run_atomic([third, first], context)

    assert (refused.value.item, type(refused.value.error)) == (1, errors.DuplicateHandle)

    page = await rustok.query("commerce.products.list", tenant)
    products = [event for event in await rustok.events() if event.envelope.aggregate_type == "product"]
    assert len(created) == len(page.data) == 2
    assert len(products) == 4


async def test_the_last_translation_stays(rustok: PlatformUnderTest) -> None:
    """A product always has a title in some language."""
    tenant = await rustok.create_tenant()
    product = await create(rustok, tenant, translations={"en": {"title": "Kettle"}})

    with pytest.raises(errors.LastTranslation):
        await rustok.run(
            "commerce.translations.delete", tenant, seen=product.version, product_id=str(product.id), locale="en"
        )


async def test_options_in_use_cannot_be_taken_away(rustok: PlatformUnderTest) -> None:
    """A variant's choice must stay one of the option's choices."""
    tenant = await rustok.create_tenant()
    product = await create(rustok, tenant, options=SIZES, variants=[{"option1": "M"}])
    fewer = [{"name": "Size", "choices": ["S"]}]

    with pytest.raises(errors.OptionsMismatch):
        await rustok.run(
            "commerce.options.set", tenant, seen=product.version, product_id=str(product.id), options=fewer
        )


async def test_pages_of_products_stay_stable_while_others_are_created(rustok: PlatformUnderTest) -> None:
    """A cursor names a place in the order, not a number of rows: nothing shows twice, nothing is left out."""
    tenant = await rustok.create_tenant()
    old = [(await create(rustok, tenant, translations={"en": {"title": f"Old {n}"}}, variants=[])).id for n in range(5)]
    first = await rustok.query("commerce.products.list", tenant, limit="2")
    await create(rustok, tenant, translations={"en": {"title": "New"}}, variants=[])

    second = await rustok.query("commerce.products.list", tenant, limit="2", after=first.page.next)
    third = await rustok.query("commerce.products.list", tenant, limit="2", after=second.page.next)

    seen = [product.id for page in (first, second, third) for product in page.data]
    assert seen == old[::-1]
    assert third.page.next is None


async def test_a_title_without_ascii_letters_still_gets_a_handle(rustok: PlatformUnderTest) -> None:
    """A handle is made from the title, else from the product's id."""
    tenant = await rustok.create_tenant()

    product = await create(rustok, tenant, translations={"ru": {"title": "Чайник"}, "en": {"title": "Tea & kettle"}})

    assert product.translations["en"].handle == "tea-kettle"
    assert product.translations["ru"].handle == f"product-{product.id.hex}"
