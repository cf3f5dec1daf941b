"""A shop on the whole platform: products by the dozen, and its index compared with what it should be."""

from collections.abc import Iterable
from typing import Any
from uuid import UUID

from sqlalchemy import text

from rustok.events.dead_letters import Choice
from rustok.jobs.dead_letters import each_dead_letter
from rustok.testing import PlatformUnderTest

INDEX = "commerce.index_products"

_DOCUMENTS = text(
    "SELECT to_jsonb(d) AS document FROM index_products AS d WHERE tenant_id = :tenant_id ORDER BY product_id, locale"
)
_VERSIONS = text("SELECT product_id, source_version FROM index_products WHERE tenant_id = :tenant_id")
_REWIND = text("UPDATE checkpoints SET position = 0 WHERE consumer = 'commerce.index_products'")
_EMPTY = (
    text("DELETE FROM index_products"),
    text("DELETE FROM index_versions WHERE projection = 'commerce.index_products'"),
)

# What the storefront should show, as one join over the source, written by hand from the rules of the index: one row
# a published product and locale; prices in the tenant's default currency; SKUs in the order of the variants.
_EXPECTED = text(
    """
    SELECT to_jsonb(d) AS document FROM (
        SELECT p.tenant_id, p.id AS product_id, t.locale, t.handle, t.title, p.vendor, p.product_type, p.tags,
               coalesce(v.skus, '{}') AS skus, d.lowest AS price_min, d.highest AS price_max,
               coalesce(d.on_sale, false) AS on_sale, p.published_at, p.version AS source_version,
               jsonb_build_object(
                   'description', t.description, 'rich_description', p.rich_description,
                   'seo', p.seo || jsonb_build_object('title', t.meta_title, 'description', t.meta_description),
                   'options', coalesce(o.options, '[]'::jsonb), 'variant_count', coalesce(v.amount, 0),
                   'prices', coalesce(c.prices, '{}'::jsonb)) AS details,
               setweight(to_tsvector(text_search_config(t.locale), t.title), 'A')
               || setweight(to_tsvector(text_search_config(t.locale),
                            concat_ws(' ', p.vendor, p.product_type, array_to_string(v.skus, ' '))), 'B')
               || setweight(to_tsvector(text_search_config(t.locale), t.description), 'C') AS search
          FROM products AS p
          JOIN tenants ON tenants.id = p.tenant_id
          JOIN product_translations AS t ON t.tenant_id = p.tenant_id AND t.product_id = p.id
          LEFT JOIN (SELECT tenant_id, product_id, count(*) AS amount,
                            array_agg(sku ORDER BY position, id) FILTER (WHERE sku IS NOT NULL) AS skus
                       FROM variants GROUP BY tenant_id, product_id) AS v
                 ON v.tenant_id = p.tenant_id AND v.product_id = p.id
          LEFT JOIN (SELECT tenant_id, product_id, jsonb_agg(jsonb_build_object('name', name, 'choices', choices)
                                                             ORDER BY position) AS options
                       FROM product_options GROUP BY tenant_id, product_id) AS o
                 ON o.tenant_id = p.tenant_id AND o.product_id = p.id
          LEFT JOIN (SELECT tenant_id, product_id, jsonb_object_agg(currency, jsonb_build_object(
                                'min', lowest, 'max', highest, 'on_sale', on_sale)) AS prices
                       FROM (SELECT v.tenant_id, v.product_id, s.currency, min(s.amount) AS lowest,
                                    max(s.amount) AS highest,
                                    coalesce(bool_or(s.compare_at > s.amount), false) AS on_sale
                               FROM variants AS v
                               JOIN prices AS s ON s.tenant_id = v.tenant_id AND s.variant_id = v.id
                              GROUP BY v.tenant_id, v.product_id, s.currency) AS by_currency
                      GROUP BY tenant_id, product_id) AS c
                 ON c.tenant_id = p.tenant_id AND c.product_id = p.id
          LEFT JOIN (SELECT v.tenant_id, v.product_id, s.currency, min(s.amount) AS lowest, max(s.amount) AS highest,
                            coalesce(bool_or(s.compare_at > s.amount), false) AS on_sale
                       FROM variants AS v JOIN prices AS s ON s.tenant_id = v.tenant_id AND s.variant_id = v.id
                      GROUP BY v.tenant_id, v.product_id, s.currency) AS d
                 ON d.tenant_id = p.tenant_id AND d.product_id = p.id AND d.currency = tenants.default_currency
         WHERE p.tenant_id = :tenant_id AND p.status = 'active') AS d
     ORDER BY product_id, locale
    """
)


class Shop:
    """One tenant's products and its part of the index."""

    def __init__(self, platform: PlatformUnderTest, tenant_id: UUID) -> None:
        self.platform = platform
        self.tenant_id = tenant_id

    async def create(self, count: int) -> list[UUID]:
        """Create published products."""
        products = []
        for number in range(count):
            translations = {"en": {"title": f"Lamp {number}"}}
            created = await self.run("products.create", status="active", translations=translations)
            products.append(created.id)
        return products

    async def run(self, command: str, *, seen: int | None = None, **fields: Any) -> Any:
        return await self.platform.run(f"commerce.{command}", self.tenant_id, seen=seen, **fields)

    async def rename(self, product_id: UUID, title: str, *, seen: int) -> int:
        """Set a product's English texts and return its new version."""
        changed = await self.run(
            "translations.set", seen=seen, product_id=str(product_id), locale="en", title=title, handle=str(product_id)
        )
        return int(changed.version)

    async def documents(self) -> list[Any]:
        """Return the tenant's rows of the index, whole."""
        return await self._fetch(_DOCUMENTS)

    async def expected(self) -> list[Any]:
        """Return what the rows should be, from a join of the source."""
        return await self._fetch(_EXPECTED)

    async def versions(self) -> dict[UUID, int]:
        """Return the version of each product that is in the index."""
        async with self.platform.system_engine.connect() as connection:
            rows = await connection.execute(_VERSIONS, {"tenant_id": self.tenant_id})
            return {row.product_id: row.source_version for row in rows}

    async def parked(self) -> dict[UUID, tuple[str, int]]:
        """Return state and number of waiting events of what is parked."""
        letters = await each_dead_letter(self.platform.system_engine, Choice(what=INDEX), self.tenant_id)
        return {letter.id: (letter.state, letter.waiting_events) for letter in letters}

    async def _fetch(self, statement: Any) -> list[Any]:
        async with self.platform.system_engine.connect() as connection:
            return list((await connection.execute(statement, {"tenant_id": self.tenant_id})).scalars())


async def replay(platform: PlatformUnderTest) -> None:
    """Let the index read the whole log again."""
    await _execute(platform, [_REWIND])
    await platform.settle()


async def rebuild(platform: PlatformUnderTest) -> None:
    """Empty the index and let it read the whole log."""
    await _execute(platform, [*_EMPTY, _REWIND])
    await platform.settle()


async def _execute(platform: PlatformUnderTest, statements: Iterable[Any]) -> None:
    async with platform.system_engine.begin() as connection:
        for statement in statements:
            await connection.execute(statement)
