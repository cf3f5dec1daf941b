"""A catalogue of any size: the demo's real products through the import, then copies of them with other names."""

import sys
from pathlib import Path
from uuid import UUID

import asyncpg

from tests.bench.products import SAMPLE
from tests.bench.stage import Processes

# Copies are published one after the other, so that browsing has an order, and priced all over the range.
_COPIES = """
    CREATE TEMP TABLE copied AS
    SELECT p.id, v.id AS variant_id, uuidv7() AS new_id, uuidv7() AS new_variant_id, n
      FROM products AS p
      JOIN variants AS v ON (v.tenant_id, v.product_id) = (p.tenant_id, p.id)
     CROSS JOIN generate_series({first}, {last}) AS n
     WHERE p.tenant_id = '{tenant}' AND v.sku NOT LIKE '%~%';
    INSERT INTO products
    SELECT tenant_id, new_id, status, vendor, product_type, tags, rich_description, seo, version, created_at,
           updated_at, published_at + n * interval '1 hour'
      FROM products JOIN copied USING (id) WHERE tenant_id = '{tenant}';
    INSERT INTO product_translations
    SELECT tenant_id, new_id, locale, title || ' ' || n, handle || '-copy-' || n, description, meta_title,
           meta_description
      FROM product_translations AS t JOIN copied ON copied.id = t.product_id
     WHERE tenant_id = '{tenant}' AND ({every_locale} OR locale = 'en');
    INSERT INTO variants
    SELECT tenant_id, new_variant_id, new_id, position, sku || '~' || n, barcode, inventory_policy, weight_g,
           option1, option2, option3
      FROM variants AS v JOIN copied ON copied.variant_id = v.id WHERE tenant_id = '{tenant}';
    INSERT INTO prices
    SELECT tenant_id, new_variant_id, currency, 100 + (amount * 7919 * n) % 49900, compare_at
      FROM prices AS c JOIN copied USING (variant_id) WHERE tenant_id = '{tenant}';
    DROP TABLE copied;
    ANALYZE products, product_translations, variants, prices
"""


def import_file(processes: Processes, file: Path = SAMPLE) -> None:
    """Import a file of package records as an operator does; its bad lines are skipped."""
    rustok = Path(sys.executable).with_name("rustok")
    processes.run([str(rustok), "import", "products", str(file), "--tenant", "bench", "--shape", "debian"])


async def copy_products(
    admin: asyncpg.Connection, tenant_id: UUID, first: int, last: int, *, every_locale: bool
) -> None:
    """Add the copies number *first* to *last* of each imported product; without *every_locale*, in English only."""
    await admin.execute(_COPIES.format(tenant=tenant_id, first=first, last=last, every_locale=every_locale))
