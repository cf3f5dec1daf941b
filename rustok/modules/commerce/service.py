"""The rules of products. Every change locks the product's row first: it is the aggregate's root."""

from collections.abc import AsyncIterator, Iterable, Sequence
from contextlib import asynccontextmanager
from typing import Any
from uuid import UUID

from sqlalchemy import Row

from rustok.db.failures import Conflicts, conflicts_named
from rustok.db.unit_of_work import SetInsert, UnitOfWork
from rustok.kernel.errors import Violation
from rustok.kernel.event import Event
from rustok.kernel.fields import slugify
from rustok.kernel.merge_patch import changed_fields
from rustok.modules.commerce import errors, events, repository, schemas
from rustok.modules.commerce.schemas import Product

PUBLISH = "commerce.products.publish"
"""Wanted for a product that is created as a published one, beside the permission to create it."""

_CONFLICTS: Conflicts = {
    "product_translations_handle_key": (
        errors.DuplicateHandle,
        "Another product has this handle in this locale: choose another handle.",
    ),
    "variants_sku_key": (errors.DuplicateSku, "Another variant has this SKU: choose another SKU."),
    "variants_options_key": (
        errors.DuplicateOptions,
        "Two variants of the product have the same option values.",
    ),
}


_INSERT_PRODUCTS = SetInsert(repository.INSERT_PRODUCTS, _CONFLICTS)


async def create_product(uow: UnitOfWork, data: schemas.CreateProduct) -> Product:
    """Create a product with all that belongs to it."""
    [product] = _create(uow, [data])
    return product


async def begin_import(uow: UnitOfWork, data: schemas.BeginImport) -> schemas.ImportProgress:
    """Return how far the import of a source has come; one that is new starts at line 1."""
    row = await repository.begin_import(uow, data.source)
    return schemas.ImportProgress(**row._mapping)


async def import_products(uow: UnitOfWork, data: schemas.ImportProducts) -> schemas.ImportProgress:
    """Create the products of some lines, all or none, and move the source's progress with them.

    So a line is imported exactly once, however often its import is interrupted and taken up again.
    """
    row = await repository.advance_import(uow, data.model_dump(exclude={"products"}), len(data.products))
    if row is None:
        raise errors.ImportOutOfStep(f"Line {data.first_line} is not the next one of this import: begin it again.")
    if data.products:
        _create(uow, data.products)
    return schemas.ImportProgress(**row._mapping)


async def get_product(uow: UnitOfWork, data: schemas.GetProduct) -> Product:
    """Return a product, whatever its status."""
    return await _product(uow, data.product_id)


async def list_products(uow: UnitOfWork, data: schemas.ListProducts) -> schemas.ProductPage:
    """Return products, newest first."""
    page = await repository.list_products(uow, data.status, data.ids, data.after, data.limit)
    return schemas.ProductPage(data=[Product(**row._mapping) for row in page.rows], page=page.links)


async def update_product(uow: UnitOfWork, data: schemas.UpdateProduct) -> Product:
    """Change the fields that the patch has; without any, nothing happens."""
    await _lock(uow, data.product_id)
    stored = await repository.get_fields(uow, data.product_id)
    values = changed_fields(schemas.ProductFields, stored._asdict(), data)
    if values:
        version = uow.emit(events.ProductUpdated(changed=sorted(values)), data.product_id)
        await repository.update_product(uow, data.product_id, version, values)
    return await _product(uow, data.product_id)


async def publish_product(uow: UnitOfWork, data: schemas.ProductAction) -> Product:
    """Let the storefront show the product; publishing a published one changes nothing."""
    row = await _lock(uow, data.product_id)
    if row.status != "active":
        version = uow.emit(events.ProductPublished(), data.product_id)
        await repository.set_status(uow, data.product_id, version, "active")
    return await _product(uow, data.product_id)


async def unpublish_product(uow: UnitOfWork, data: schemas.ProductAction) -> Product:
    """Make the product a draft again; unpublishing a draft changes nothing."""
    row = await _lock(uow, data.product_id)
    if row.status == "active":
        version = uow.emit(events.ProductUnpublished(), data.product_id)
        await repository.set_status(uow, data.product_id, version, "draft")
    return await _product(uow, data.product_id)


async def delete_product(uow: UnitOfWork, data: schemas.ProductAction) -> schemas.DeletedProduct:
    """Delete a product that is not published, with its texts, variants and prices."""
    row = await _lock(uow, data.product_id)
    if row.status == "active":
        raise errors.ProductPublished("A published product cannot be deleted: unpublish it first.")
    version = uow.emit(events.ProductDeleted(), data.product_id)
    await repository.delete_product(uow, data.product_id)
    return schemas.DeletedProduct(id=data.product_id, version=version)


async def set_translation(uow: UnitOfWork, data: schemas.SetTranslation) -> Product:
    """Set all texts of one locale; without a handle the stored one stays, since addresses are made of it."""
    await _lock(uow, data.product_id)
    event = events.ProductTranslationUpdated(locale=data.locale, removed=False)
    async with _change(uow, data.product_id, event):
        values = {**data.model_dump(exclude={"product_id"}), "made_handle": _handle(data, data.product_id)}
        await repository.set_translation(uow, data.product_id, values)
    return await _product(uow, data.product_id)


async def delete_translation(uow: UnitOfWork, data: schemas.DeleteTranslation) -> Product:
    """Remove the texts of one locale, but never the last."""
    await _lock(uow, data.product_id)
    if not await repository.delete_translation(uow, data.product_id, data.locale):
        raise errors.TranslationNotFound(f"The product has no texts in {data.locale}.")
    if not await repository.count_translations(uow, data.product_id):
        raise errors.LastTranslation("A product keeps at least one translation: set another first.")
    event = events.ProductTranslationUpdated(locale=data.locale, removed=True)
    async with _change(uow, data.product_id, event):
        pass
    return await _product(uow, data.product_id)


async def set_options(uow: UnitOfWork, data: schemas.SetOptions) -> Product:
    """Replace all options, unless a variant chooses what would be gone."""
    await _lock(uow, data.product_id)
    choices = [option.choices for option in data.options]
    for row in await repository.list_variant_options(uow, data.product_id):
        _check_options(choices, schemas.VariantFields(**row._mapping), "/options")
    async with _change(uow, data.product_id, events.ProductUpdated(changed=["options"])):
        rows = [{"position": n, **option.model_dump()} for n, option in enumerate(data.options, 1)]
        await repository.replace_options(uow, data.product_id, rows)
    return await _product(uow, data.product_id)


async def add_variant(uow: UnitOfWork, data: schemas.AddVariant) -> Product:
    """Add a variant with its prices, behind the others."""
    await _lock(uow, data.product_id)
    _check_options(await repository.list_choices(uow, data.product_id), data, "")
    variant_id = uow.new_id()
    async with _change(uow, data.product_id, events.VariantCreated(variant_id=variant_id, sku=data.sku)):
        prices = [{"currency": currency, **price.model_dump()} for currency, price in data.prices.items()]
        values = {"id": variant_id, **data.model_dump(exclude={"product_id", "prices"})}
        await repository.insert_variant(uow, data.product_id, values, prices)
    return await _product(uow, data.product_id)


async def update_variant(uow: UnitOfWork, data: schemas.UpdateVariant) -> Product:
    """Change the fields that the patch has; without any, nothing happens."""
    await _lock(uow, data.product_id)
    stored = await repository.find_variant(uow, data.product_id, data.variant_id)
    if stored is None:
        raise _no_variant()
    values = changed_fields(schemas.VariantFields, stored._asdict(), data)
    if values:
        merged = schemas.VariantFields(**{**stored._mapping, **values})
        _check_options(await repository.list_choices(uow, data.product_id), merged, "")
        event = events.VariantUpdated(variant_id=data.variant_id, changed=sorted(values))
        async with _change(uow, data.product_id, event):
            await repository.update_variant(uow, data.product_id, data.variant_id, values)
    return await _product(uow, data.product_id)


async def delete_variant(uow: UnitOfWork, data: schemas.DeleteVariant) -> Product:
    """Delete a variant with its prices."""
    await _lock(uow, data.product_id)
    async with _change(uow, data.product_id, events.VariantDeleted(variant_id=data.variant_id)):
        if not await repository.delete_variant(uow, data.product_id, data.variant_id):
            raise _no_variant()
    return await _product(uow, data.product_id)


async def set_price(uow: UnitOfWork, data: schemas.SetPrice) -> Product:
    """Set the price of a variant in one currency."""
    await _lock(uow, data.product_id)
    price = data.model_dump(include={"amount", "compare_at"})
    event = events.PriceUpdated(variant_id=data.variant_id, currency=data.currency, **price)
    async with _change(uow, data.product_id, event):
        if not await repository.set_price(uow, data.product_id, data.variant_id, data.currency, price):
            raise _no_variant()
    return await _product(uow, data.product_id)


async def delete_price(uow: UnitOfWork, data: schemas.DeletePrice) -> Product:
    """Remove the price of a variant in one currency."""
    await _lock(uow, data.product_id)
    event = events.PriceUpdated(variant_id=data.variant_id, currency=data.currency, amount=None)
    async with _change(uow, data.product_id, event):
        if not await repository.delete_price(uow, data.product_id, data.variant_id, data.currency):
            raise errors.PriceNotFound(f"The variant has no price in {data.currency}.")
    return await _product(uow, data.product_id)


async def _lock(uow: UnitOfWork, product_id: UUID) -> Row[Any]:
    row = await repository.lock_product(uow, product_id)
    if row is None:
        raise _no_product()
    return row


async def _product(uow: UnitOfWork, product_id: UUID) -> Product:
    row = await repository.find_product(uow, product_id)
    if row is None:
        raise _no_product()
    return Product(**row._mapping)


@asynccontextmanager
async def _change(uow: UnitOfWork, product_id: UUID, event: Event) -> AsyncIterator[None]:
    """Emit *event*, run the change inside, and give the product its new version."""
    version = uow.emit(event, product_id)
    with conflicts_named(_CONFLICTS):
        yield
    await repository.set_version(uow, product_id, version)


def _create(uow: UnitOfWork, inputs: Sequence[schemas.CreateProduct]) -> list[Product]:
    products = [_new_product(uow, data) for data in inputs]
    uow.insert(_INSERT_PRODUCTS, _rows(products))
    return products


def _new_product(uow: UnitOfWork, data: schemas.CreateProduct) -> Product:
    product_id = uow.new_id()
    uow.hold("product", product_id, version=0)
    created = events.ProductCreated(locales=sorted(data.translations), variants=len(data.variants))
    version = uow.emit(created, product_id)
    if data.status == "active":
        uow.context.require(PUBLISH)
        version = uow.emit(events.ProductPublished(), product_id)
    for place, variant in enumerate(data.variants):
        _check_options([option.choices for option in data.options], variant, f"/variants/{place}")
    return Product(
        **data.model_dump(exclude={"translations", "variants"}),
        id=product_id,
        version=version,
        translations={
            locale: {**t.model_dump(), "handle": _handle(t, product_id)} for locale, t in data.translations.items()
        },
        variants=[{**variant.model_dump(), "id": uow.new_id()} for variant in data.variants],
        created_at=uow.now,
        updated_at=uow.now,
        published_at=uow.now if data.status == "active" else None,
    )


def _rows(products: Iterable[Product]) -> dict[str, list[dict[str, Any]]]:
    """Return the rows of *products*, a list a table, in the shape of `repository.INSERT_PRODUCTS`."""
    rows: dict[str, list[dict[str, Any]]] = {
        name: [] for name in ("products", "translations", "options", "variants", "prices")
    }
    for product in products:
        document = product.model_dump()
        rows["products"].append(document)
        for locale, translation in document.pop("translations").items():
            rows["translations"].append({"product_id": product.id, "locale": locale, **translation})
        for position, option in enumerate(document.pop("options"), 1):
            rows["options"].append({"product_id": product.id, "position": position, **option})
        for position, variant in enumerate(document.pop("variants"), 1):
            for currency, price in variant.pop("prices").items():
                rows["prices"].append({"variant_id": variant["id"], "currency": currency, **price})
            rows["variants"].append({"product_id": product.id, "position": position, **variant})
    return rows


def _handle(translation: schemas.TranslationInput, product_id: UUID) -> str:
    """Return the given handle, else one of the title, else (a title without ASCII letters) one of the id."""
    return translation.handle or slugify(translation.title) or f"product-{product_id.hex}"


def _check_options(choices: Sequence[Sequence[str]], variant: schemas.VariantFields, pointer: str) -> None:
    """Raise OptionsMismatch unless the variant chooses one value of each option and no more."""
    chosen = (variant.option1, variant.option2, variant.option3)
    faults = [
        Violation(f"{pointer}/option{n}", "invalid_option", "not one of the option's choices")
        for n, value in enumerate(chosen, 1)
        if (value not in choices[n - 1] if n <= len(choices) else value is not None)
    ]
    if faults:
        raise errors.OptionsMismatch("A variant chooses one value of each of the product's options.", faults)


def _no_product() -> errors.ProductNotFound:
    return errors.ProductNotFound("There is no such product.")


def _no_variant() -> errors.VariantNotFound:
    return errors.VariantNotFound("The product has no such variant.")
