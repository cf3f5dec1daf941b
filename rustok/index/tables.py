"""The index tables: what a document is made of, and the one statement that writes a set of them."""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property

from sqlalchemy import TextClause, text


@dataclass(frozen=True)
class IndexTable:
    """A read table with one row an aggregate and locale.

    A document has the `columns`, its `locale`, and the texts `search_a` to `search_c`, which become the
    weighted text-search vector in the locale's language.
    """

    name: str
    key: str
    columns: Mapping[str, str]

    @cached_property
    def upsert(self) -> TextClause:
        """Takes `:documents`, a JSON array of documents with `tenant_id`, `aggregate_id`, `source_version`."""
        names = ", ".join(self.columns)
        types = ", ".join(f"{name} {kind}" for name, kind in self.columns.items())
        changes = ", ".join(f"{n} = excluded.{n}" for n in (*self.columns, "source_version", "search"))
        return text(
            f"""
            INSERT INTO {self.name} (tenant_id, {self.key}, locale, {names}, source_version, search)
            SELECT tenant_id, aggregate_id, locale, {names}, source_version,
                   setweight(to_tsvector(text_search_config(locale), search_a), 'A')
                   || setweight(to_tsvector(text_search_config(locale), search_b), 'B')
                   || setweight(to_tsvector(text_search_config(locale), search_c), 'C')
              FROM json_to_recordset(CAST(:documents AS json)) AS document (
                   tenant_id uuid, aggregate_id uuid, locale text, {types}, source_version bigint,
                   search_a text, search_b text, search_c text)
             ORDER BY tenant_id, aggregate_id, locale
                ON CONFLICT (tenant_id, {self.key}, locale) DO UPDATE SET {changes}
            """
        )

    @cached_property
    def delete_other_versions(self) -> TextClause:
        """Takes `:versions`, a JSON array of aggregates; deletes their rows that another version wrote."""
        return text(
            f"""
            DELETE FROM {self.name} AS d
             USING json_to_recordset(CAST(:versions AS json)) AS v (tenant_id uuid, aggregate_id uuid, version bigint)
             WHERE d.tenant_id = v.tenant_id AND d.{self.key} = v.aggregate_id AND d.source_version <> v.version
            """
        )


PRODUCTS = IndexTable(
    name="index_products",
    key="product_id",
    columns={
        "handle": "text",
        "title": "text",
        "vendor": "text",
        "product_type": "text",
        "tags": "text[]",
        "skus": "text[]",
        "price_min": "bigint",
        "price_max": "bigint",
        "on_sale": "boolean",
        "published_at": "timestamptz",
        "details": "jsonb",
    },
)

CONTENT = IndexTable(
    name="index_content",
    key="node_id",
    columns={
        "kind": "text",
        "slug": "text",
        "title": "text",
        "excerpt": "text",
        "author": "text",
        "tags": "text[]",
        "parent_id": "uuid",
        "position": "integer",
        "published_at": "timestamptz",
        "details": "jsonb",
    },
)

TABLES = {table.name: table for table in (PRODUCTS, CONTENT)}
