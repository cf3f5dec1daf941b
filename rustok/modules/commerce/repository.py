"""The SQL of commerce: one statement a function, sets instead of loops, `tenant_id` first."""

from collections.abc import Iterable, Mapping, Sequence
from functools import partial
from typing import Any
from uuid import UUID

from sqlalchemy import Row, TextClause, text

from rustok.db.engine import to_json
from rustok.db.pages import Listing, Page
from rustok.db.unit_of_work import UnitOfWork

INSERT_PRODUCTS = text(
    """
    WITH new_products AS (
        INSERT INTO products (tenant_id, id, status, vendor, product_type, tags, rich_description, seo, version,
                              created_at, updated_at, published_at)
        SELECT CAST(:tenant_id AS uuid), id, status, vendor, product_type, tags, rich_description, seo, version,
               CAST(:now AS timestamptz), CAST(:now AS timestamptz),
               CASE status WHEN 'active' THEN CAST(:now AS timestamptz) END
          FROM json_to_recordset(CAST(:products AS json)) AS p (
               id uuid, status text, vendor text, product_type text, tags text[], rich_description jsonb, seo jsonb,
               version bigint)
    ), new_translations AS (
        INSERT INTO product_translations (tenant_id, product_id, locale, title, handle, description, meta_title,
                                          meta_description)
        SELECT CAST(:tenant_id AS uuid), product_id, locale, title, handle, description, meta_title, meta_description
          FROM json_to_recordset(CAST(:translations AS json)) AS t (
               product_id uuid, locale text, title text, handle text, description text, meta_title text,
               meta_description text)
    ), new_options AS (
        INSERT INTO product_options (tenant_id, product_id, position, name, choices)
        SELECT CAST(:tenant_id AS uuid), product_id, position, name, choices
          FROM json_to_recordset(CAST(:options AS json)) AS o (
               product_id uuid, position smallint, name text, choices text[])
    ), new_variants AS (
        INSERT INTO variants (tenant_id, id, product_id, position, sku, barcode, inventory_policy, weight_g,
                              option1, option2, option3)
        SELECT CAST(:tenant_id AS uuid), id, product_id, position, sku, barcode, inventory_policy, weight_g,
               option1, option2, option3
          FROM json_to_recordset(CAST(:variants AS json)) AS v (
               id uuid, product_id uuid, position smallint, sku text, barcode text, inventory_policy text,
               weight_g integer, option1 text, option2 text, option3 text)
    )
    INSERT INTO prices (tenant_id, variant_id, currency, amount, compare_at)
    SELECT CAST(:tenant_id AS uuid), variant_id, currency, amount, compare_at
      FROM json_to_recordset(CAST(:prices AS json)) AS p (
           variant_id uuid, currency text, amount bigint, compare_at bigint)
    """
)

_LOCK_PRODUCT = text(
    """
    SELECT id, status, version, published_at FROM products
     WHERE tenant_id = :tenant_id AND id = :product_id FOR UPDATE
    """
)

_GET_FIELDS = text(
    """
    SELECT vendor, product_type, tags, rich_description, seo FROM products
     WHERE tenant_id = :tenant_id AND id = :product_id
    """
)

# A product with all that belongs to it, as one row: the read side of the write model.
_SELECT_PRODUCTS = """
    SELECT p.id, p.version, p.status, p.vendor, p.product_type, p.tags, p.rich_description, p.seo, p.created_at,
           p.updated_at, p.published_at,
           (SELECT jsonb_object_agg(t.locale, to_jsonb(t) - '{tenant_id,product_id,locale}'::text[])
              FROM product_translations AS t WHERE (t.tenant_id, t.product_id) = (p.tenant_id, p.id)) AS translations,
           coalesce((SELECT jsonb_agg(jsonb_build_object('name', o.name, 'choices', o.choices) ORDER BY o.position)
              FROM product_options AS o WHERE (o.tenant_id, o.product_id) = (p.tenant_id, p.id)), '[]') AS options,
           coalesce((SELECT jsonb_agg(to_jsonb(v) - '{tenant_id,product_id,position}'::text[] || jsonb_build_object(
                         'prices', coalesce((SELECT jsonb_object_agg(c.currency, jsonb_build_object(
                             'amount', c.amount, 'compare_at', c.compare_at)) FROM prices AS c
                              WHERE (c.tenant_id, c.variant_id) = (v.tenant_id, v.id)), '{}'))
                     ORDER BY v.position, v.id)
              FROM variants AS v WHERE (v.tenant_id, v.product_id) = (p.tenant_id, p.id)), '[]') AS variants
      FROM products AS p
"""
_GET_PRODUCT = text(_SELECT_PRODUCTS + "WHERE p.tenant_id = :tenant_id AND p.id = :product_id")
_newest_products = partial(Listing, "commerce.products", key="p.id", key_type="uuid", descending=True)
_IN_LIST = "WHERE p.tenant_id = :tenant_id AND (CAST(:status AS text) IS NULL OR p.status = :status)"
_LIST_PRODUCTS = _newest_products(_SELECT_PRODUCTS + _IN_LIST)
_LIST_PRODUCTS_OF = _newest_products(f"{_SELECT_PRODUCTS} {_IN_LIST} AND p.id = ANY (CAST(:ids AS uuid[]))")
_SET_STATUS = text(
    """
    UPDATE products SET status = :status, version = :version, updated_at = :now, published_at = :published_at
     WHERE tenant_id = :tenant_id AND id = :product_id
    """
)
_SET_VERSION = text(
    """
    UPDATE products SET version = :version, updated_at = :now
     WHERE tenant_id = :tenant_id AND id = :product_id
    """
)
_DELETE_PRODUCT = text("DELETE FROM products WHERE tenant_id = :tenant_id AND id = :product_id")
_SET_TRANSLATION = text(
    """
    INSERT INTO product_translations (tenant_id, product_id, locale, title, handle, description, meta_title,
                                      meta_description)
    VALUES (:tenant_id, :product_id, :locale, :title, coalesce(CAST(:handle AS text), :made_handle), :description,
            :meta_title, :meta_description)
        ON CONFLICT (tenant_id, product_id, locale)
        DO UPDATE SET title = excluded.title, handle = coalesce(:handle, product_translations.handle),
                      description = excluded.description, meta_title = excluded.meta_title,
                      meta_description = excluded.meta_description
    """
)
_DELETE_TRANSLATION = text(
    """
    DELETE FROM product_translations
     WHERE tenant_id = :tenant_id AND product_id = :product_id AND locale = :locale
    """
)
_COUNT_TRANSLATIONS = text(
    "SELECT count(*) FROM product_translations WHERE tenant_id = :tenant_id AND product_id = :product_id"
)
_LIST_CHOICES = text(
    """
    SELECT choices FROM product_options
     WHERE tenant_id = :tenant_id AND product_id = :product_id ORDER BY position
    """
)
_LIST_VARIANT_OPTIONS = text(
    "SELECT option1, option2, option3 FROM variants WHERE tenant_id = :tenant_id AND product_id = :product_id"
)
_REPLACE_OPTIONS = text(
    """
    WITH given AS (
        SELECT * FROM json_to_recordset(CAST(:options AS json)) AS o (position smallint, name text, choices text[])
    ), removed AS (
        DELETE FROM product_options
         WHERE tenant_id = :tenant_id AND product_id = :product_id AND position NOT IN (SELECT position FROM given)
    )
    INSERT INTO product_options (tenant_id, product_id, position, name, choices)
    SELECT CAST(:tenant_id AS uuid), CAST(:product_id AS uuid), position, name, choices FROM given
        ON CONFLICT (tenant_id, product_id, position) DO UPDATE SET name = excluded.name, choices = excluded.choices
    """
)
_INSERT_VARIANT = text(
    """
    WITH new_variant AS (
        INSERT INTO variants (tenant_id, id, product_id, position, sku, barcode, inventory_policy, weight_g,
                              option1, option2, option3)
        SELECT CAST(:tenant_id AS uuid), CAST(:id AS uuid), CAST(:product_id AS uuid), coalesce(max(position), 0) + 1,
               CAST(:sku AS text), CAST(:barcode AS text), CAST(:inventory_policy AS text), CAST(:weight_g AS integer),
               CAST(:option1 AS text), CAST(:option2 AS text), CAST(:option3 AS text)
          FROM variants WHERE tenant_id = :tenant_id AND product_id = :product_id
    )
    INSERT INTO prices (tenant_id, variant_id, currency, amount, compare_at)
    SELECT CAST(:tenant_id AS uuid), CAST(:id AS uuid), currency, amount, compare_at
      FROM json_to_recordset(CAST(:prices AS json)) AS p (currency text, amount bigint, compare_at bigint)
    """
)
_GET_VARIANT = text(
    """
    SELECT sku, barcode, inventory_policy, weight_g, option1, option2, option3 FROM variants
     WHERE tenant_id = :tenant_id AND product_id = :product_id AND id = :variant_id
    """
)
_DELETE_VARIANT = text(
    "DELETE FROM variants WHERE tenant_id = :tenant_id AND product_id = :product_id AND id = :variant_id"
)
_SET_PRICE = text(
    """
    INSERT INTO prices (tenant_id, variant_id, currency, amount, compare_at)
    SELECT tenant_id, id, CAST(:currency AS text), CAST(:amount AS bigint), CAST(:compare_at AS bigint) FROM variants
     WHERE tenant_id = :tenant_id AND product_id = :product_id AND id = :variant_id
        ON CONFLICT (tenant_id, variant_id, currency)
        DO UPDATE SET amount = excluded.amount, compare_at = excluded.compare_at
    """
)
_DELETE_PRICE = text(
    """
    DELETE FROM prices AS c USING variants AS v
     WHERE c.tenant_id = :tenant_id AND c.variant_id = :variant_id AND c.currency = :currency
       AND (v.tenant_id, v.id) = (c.tenant_id, c.variant_id) AND v.product_id = :product_id
    """
)

_IMPORT_COLUMNS = "source, next_line, imported, rejected"
_BEGIN_IMPORT = text(
    f"""
    INSERT INTO product_imports (tenant_id, source, next_line, imported, rejected, updated_at)
    VALUES (:tenant_id, :source, 1, 0, 0, :now)
        ON CONFLICT (tenant_id, source) DO UPDATE SET updated_at = excluded.updated_at
    RETURNING {_IMPORT_COLUMNS}
    """
)
_ADVANCE_IMPORT = text(
    f"""
    UPDATE product_imports
       SET next_line = :last_line + 1, imported = imported + :imported, rejected = rejected + :rejected,
           updated_at = :now
     WHERE tenant_id = :tenant_id AND source = :source AND next_line = :first_line
    RETURNING {_IMPORT_COLUMNS}
    """
)

_PRODUCT_COLUMNS = frozenset({"vendor", "product_type", "tags", "rich_description", "seo", "version", "updated_at"})
_VARIANT_COLUMNS = frozenset({"sku", "barcode", "inventory_policy", "weight_g", "option1", "option2", "option3"})


async def begin_import(uow: UnitOfWork, source: str) -> Row[Any]:
    values = {"tenant_id": uow.tenant_id, "source": source, "now": uow.now}
    return (await uow.execute(_BEGIN_IMPORT, values)).one()


async def advance_import(uow: UnitOfWork, lines: Mapping[str, Any], imported: int) -> Row[Any] | None:
    """Move the progress over *lines*; None when it does not stand at their first one."""
    values = {"tenant_id": uow.tenant_id, "now": uow.now, "imported": imported, **lines}
    return (await uow.execute(_ADVANCE_IMPORT, values)).one_or_none()


async def lock_product(uow: UnitOfWork, product_id: UUID) -> Row[Any] | None:
    row = (await uow.execute(_LOCK_PRODUCT, _of(uow, product_id))).one_or_none()
    if row is not None:
        uow.hold("product", product_id, row.version)
    return row


async def get_fields(uow: UnitOfWork, product_id: UUID) -> Row[Any]:
    return (await uow.execute(_GET_FIELDS, _of(uow, product_id))).one()


async def find_product(uow: UnitOfWork, product_id: UUID) -> Row[Any] | None:
    return (await uow.execute(_GET_PRODUCT, _of(uow, product_id))).one_or_none()


async def list_products(
    uow: UnitOfWork, status: str | None, ids: Sequence[UUID] | None, cursor: str | None, limit: int
) -> Page:
    if ids is None:
        return await _LIST_PRODUCTS.page(uow, {"status": status}, cursor, limit)
    return await _LIST_PRODUCTS_OF.page(uow, {"status": status, "ids": [*map(str, ids)]}, cursor, limit)


async def update_product(uow: UnitOfWork, product_id: UUID, version: int, values: Mapping[str, Any]) -> None:
    values = {**values, "version": version, "updated_at": uow.now}
    statement = _update("products", "id = :product_id", values, _PRODUCT_COLUMNS)
    await uow.execute(statement, {**_of(uow, product_id), **_json_columns(values)})


async def set_version(uow: UnitOfWork, product_id: UUID, version: int) -> None:
    await uow.execute(_SET_VERSION, {**_of(uow, product_id), "version": version, "now": uow.now})


async def set_status(uow: UnitOfWork, product_id: UUID, version: int, status: str) -> None:
    published_at = uow.now if status == "active" else None
    values = {"version": version, "status": status, "now": uow.now, "published_at": published_at}
    await uow.execute(_SET_STATUS, {**_of(uow, product_id), **values})


async def delete_product(uow: UnitOfWork, product_id: UUID) -> None:
    await uow.execute(_DELETE_PRODUCT, _of(uow, product_id))


async def set_translation(uow: UnitOfWork, product_id: UUID, values: Mapping[str, Any]) -> None:
    await uow.execute(_SET_TRANSLATION, {**_of(uow, product_id), **values})


async def delete_translation(uow: UnitOfWork, product_id: UUID, locale: str) -> bool:
    return bool((await uow.execute(_DELETE_TRANSLATION, {**_of(uow, product_id), "locale": locale})).rowcount)


async def count_translations(uow: UnitOfWork, product_id: UUID) -> int:
    return int((await uow.execute(_COUNT_TRANSLATIONS, _of(uow, product_id))).scalar_one())


async def list_choices(uow: UnitOfWork, product_id: UUID) -> list[list[str]]:
    """Return the choices of each option, in order of position."""
    return [row.choices for row in await uow.execute(_LIST_CHOICES, _of(uow, product_id))]


async def list_variant_options(uow: UnitOfWork, product_id: UUID) -> Sequence[Row[Any]]:
    return (await uow.execute(_LIST_VARIANT_OPTIONS, _of(uow, product_id))).all()


async def replace_options(uow: UnitOfWork, product_id: UUID, options: Sequence[Mapping[str, Any]]) -> None:
    await uow.execute(_REPLACE_OPTIONS, {**_of(uow, product_id), "options": to_json(options)})


async def insert_variant(
    uow: UnitOfWork, product_id: UUID, values: Mapping[str, Any], prices: Sequence[Mapping[str, Any]]
) -> None:
    await uow.execute(_INSERT_VARIANT, {**_of(uow, product_id), **values, "prices": to_json(prices)})


async def find_variant(uow: UnitOfWork, product_id: UUID, variant_id: UUID) -> Row[Any] | None:
    return (await uow.execute(_GET_VARIANT, {**_of(uow, product_id), "variant_id": variant_id})).one_or_none()


async def update_variant(uow: UnitOfWork, product_id: UUID, variant_id: UUID, values: Mapping[str, Any]) -> None:
    statement = _update("variants", "product_id = :product_id AND id = :variant_id", values, _VARIANT_COLUMNS)
    await uow.execute(statement, {**_of(uow, product_id), "variant_id": variant_id, **values})


async def delete_variant(uow: UnitOfWork, product_id: UUID, variant_id: UUID) -> bool:
    values = {**_of(uow, product_id), "variant_id": variant_id}
    return bool((await uow.execute(_DELETE_VARIANT, values)).rowcount)


async def set_price(
    uow: UnitOfWork, product_id: UUID, variant_id: UUID, currency: str, price: Mapping[str, Any]
) -> bool:
    values = {**_of(uow, product_id), "variant_id": variant_id, "currency": currency, **price}
    return bool((await uow.execute(_SET_PRICE, values)).rowcount)


async def delete_price(uow: UnitOfWork, product_id: UUID, variant_id: UUID, currency: str) -> bool:
    values = {**_of(uow, product_id), "variant_id": variant_id, "currency": currency}
    return bool((await uow.execute(_DELETE_PRICE, values)).rowcount)


def _of(uow: UnitOfWork, product_id: UUID) -> dict[str, Any]:
    return {"tenant_id": uow.tenant_id, "product_id": product_id}


def _json_columns(values: Mapping[str, Any]) -> dict[str, Any]:
    return {name: to_json(value) if isinstance(value, dict) else value for name, value in values.items()}


def _update(table: str, where: str, columns: Iterable[str], allowed: frozenset[str]) -> TextClause:
    """Return an UPDATE of these *columns*, which must be among the *allowed* ones."""
    unknown = set(columns) - allowed
    if unknown:
        raise ValueError(f"{table} has no columns {unknown} to update")
    casts = {"rich_description": "CAST(:rich_description AS jsonb)", "seo": "CAST(:seo AS jsonb)"}
    changes = ", ".join(f"{name} = {casts.get(name, ':' + name)}" for name in sorted(columns))
    return text(f"UPDATE {table} SET {changes} WHERE tenant_id = :tenant_id AND {where}")
