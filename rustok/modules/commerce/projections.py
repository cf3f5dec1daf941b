"""What the storefront sees of a product: one document a locale while it is published."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from rustok.db.engine import to_json
from rustok.kernel.event import AggregateKey
from rustok.kernel.module import Projection, Source

_LOAD = text(
    """
    SELECT p.tenant_id, p.id, p.version, p.status, p.vendor, p.product_type, p.tags, p.published_at,
           tenants.default_currency, p.rich_description, p.seo,
           (SELECT jsonb_object_agg(t.locale, to_jsonb(t)) FROM product_translations AS t
             WHERE (t.tenant_id, t.product_id) = (p.tenant_id, p.id)) AS translations,
           coalesce((SELECT jsonb_agg(jsonb_build_object('name', o.name, 'choices', o.choices) ORDER BY o.position)
              FROM product_options AS o WHERE (o.tenant_id, o.product_id) = (p.tenant_id, p.id)), '[]') AS options,
           coalesce((SELECT jsonb_agg(v.sku ORDER BY v.position, v.id) FILTER (WHERE v.sku IS NOT NULL)
              FROM variants AS v WHERE (v.tenant_id, v.product_id) = (p.tenant_id, p.id)), '[]') AS skus,
           (SELECT count(*) FROM variants AS v
             WHERE (v.tenant_id, v.product_id) = (p.tenant_id, p.id)) AS variant_count,
           coalesce((SELECT jsonb_object_agg(s.currency, to_jsonb(s) - 'currency') FROM (
                SELECT c.currency, min(c.amount) AS min, max(c.amount) AS max,
                       coalesce(bool_or(c.compare_at > c.amount), false) AS on_sale
                  FROM variants AS v JOIN prices AS c ON (c.tenant_id, c.variant_id) = (v.tenant_id, v.id)
                 WHERE (v.tenant_id, v.product_id) = (p.tenant_id, p.id) GROUP BY c.currency) AS s), '{}') AS prices
      FROM json_to_recordset(CAST(:keys AS json)) AS k (tenant_id uuid, aggregate_id uuid)
      JOIN products AS p ON (p.tenant_id, p.id) = (k.tenant_id, k.aggregate_id)
      JOIN tenants ON tenants.id = p.tenant_id
    """
)


async def load_products(connection: AsyncConnection, keys: Iterable[AggregateKey]) -> Mapping[AggregateKey, Source]:
    """Return the sources of these products; those that are gone are absent."""
    rows = await connection.execute(_LOAD, {"keys": to_json([key._asdict() for key in keys])})
    return {AggregateKey(row.tenant_id, row.id): Source(row.version, row._mapping) for row in rows}


def build_products(source: Source) -> Sequence[Mapping[str, Any]]:
    """Return the documents of a product: none unless it is published.

    Prices that are filtered and sorted by are in the tenant's default currency; `details` has them all.
    """
    product = source.row
    if product["status"] != "active":
        return []
    prices = product["prices"]
    price = prices.get(product["default_currency"]) or {"min": None, "max": None, "on_sale": False}
    return [
        {
            "locale": locale,
            "handle": translation["handle"],
            "title": translation["title"],
            "vendor": product["vendor"],
            "product_type": product["product_type"],
            "tags": product["tags"],
            "skus": product["skus"],
            "price_min": price["min"],
            "price_max": price["max"],
            "on_sale": price["on_sale"],
            "published_at": product["published_at"],
            "details": {
                "description": translation["description"],
                "rich_description": product["rich_description"],
                "seo": {
                    **product["seo"],
                    "title": translation["meta_title"],
                    "description": translation["meta_description"],
                },
                "options": product["options"],
                "variant_count": product["variant_count"],
                "prices": prices,
            },
            "search_a": translation["title"],
            "search_b": " ".join(filter(None, [product["vendor"], product["product_type"], *product["skus"]])),
            "search_c": translation["description"],
        }
        for locale, translation in product["translations"].items()
    ]


INDEX_PRODUCTS = Projection(
    name="commerce.index_products",
    summary="The storefront's product table",
    subscribes=("commerce.product.*", "commerce.variant.*", "commerce.price.*"),
    table="index_products",
    load=load_products,
    build=build_products,
)
