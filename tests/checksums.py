"""The truth about the product index: what a direct JOIN of the source says it must hold, tenant by tenant."""

from uuid import UUID

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncEngine

_INDEX = text(
    """
    SELECT tenant_id, count(*), md5(string_agg(md5(ROW(
               product_id, locale, handle, title, vendor, product_type, tags, skus, price_min, price_max, on_sale,
               published_at, source_version, details->>'description')::text), ',' ORDER BY product_id, locale))
      FROM index_products GROUP BY tenant_id
    """
)
_SOURCE = text(
    """
    SELECT p.tenant_id, count(*), md5(string_agg(md5(ROW(
               p.id, t.locale, t.handle, t.title, p.vendor, p.product_type, p.tags,
               ARRAY(SELECT v.sku FROM variants AS v
                      WHERE v.tenant_id = p.tenant_id AND v.product_id = p.id AND v.sku IS NOT NULL
                      ORDER BY v.position, v.id),
               c.lowest, c.highest, coalesce(c.on_sale, false),
               p.published_at, p.version, t.description)::text), ',' ORDER BY p.id, t.locale))
      FROM products AS p
      JOIN product_translations AS t ON t.tenant_id = p.tenant_id AND t.product_id = p.id
      JOIN tenants ON tenants.id = p.tenant_id
      LEFT JOIN LATERAL (
           SELECT min(amount) AS lowest, max(amount) AS highest, bool_or(compare_at > amount) AS on_sale
             FROM variants AS v JOIN prices ON prices.tenant_id = v.tenant_id AND prices.variant_id = v.id
            WHERE v.tenant_id = p.tenant_id AND v.product_id = p.id AND currency = tenants.default_currency
           ) AS c ON true
     WHERE p.status = 'active'
     GROUP BY p.tenant_id
    """
)

Checksums = dict[UUID, tuple[int, str]]
"""Number of documents and their checksum, by tenant."""


async def index_checksums(system_engine: AsyncEngine) -> Checksums:
    """Return what the index holds."""
    async with system_engine.connect() as connection:
        return {tenant: (count, digest) for tenant, count, digest in await connection.execute(_INDEX)}


async def source_checksums(system_engine: AsyncEngine) -> Checksums:
    """Return what the index must hold."""
    async with system_engine.connect() as connection:
        return {tenant: (count, digest) for tenant, count, digest in await connection.execute(_SOURCE)}
