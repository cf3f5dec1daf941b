"""Create the storefront's product table: one row a published product and locale, read without joins."""

from alembic import op

from rustok.db.rls import protect

revision = "m20261122_index_002"
down_revision = "m20261122_index_001"


def upgrade() -> None:
    op.execute(
        """
        CREATE TABLE index_products (
            tenant_id uuid NOT NULL,
            product_id uuid NOT NULL,
            locale text NOT NULL,
            handle text NOT NULL,
            title text NOT NULL,
            vendor text,
            product_type text,
            tags text[] NOT NULL,
            skus text[] NOT NULL,
            price_min bigint,
            price_max bigint,
            on_sale boolean NOT NULL,
            published_at timestamptz NOT NULL,
            source_version bigint NOT NULL,
            details jsonb NOT NULL,
            search tsvector NOT NULL,
            PRIMARY KEY (tenant_id, product_id, locale)
        )
        """
    )
    for name, columns in {
        "handle": "(tenant_id, locale, handle)",
        "newest": "(tenant_id, locale, published_at DESC, product_id DESC)",
        "title": "(tenant_id, locale, title, product_id)",
        "price": "(tenant_id, locale, price_min, product_id)",
    }.items():
        op.execute(f"CREATE INDEX index_products_{name} ON index_products {columns}")
    op.execute("CREATE INDEX index_products_search ON index_products USING gin (search)")
    op.execute("CREATE INDEX index_products_tags ON index_products USING gin (tags)")
    for statement in protect("index_products", "SELECT", search=True):
        op.execute(statement)
    op.execute(
        """
        CREATE FUNCTION text_search_config(locale text) RETURNS regconfig LANGUAGE sql IMMUTABLE AS $$
            SELECT (CASE left(locale, 2)
                WHEN 'en' THEN 'pg_catalog.english' WHEN 'de' THEN 'pg_catalog.german'
                WHEN 'ru' THEN 'pg_catalog.russian' WHEN 'fr' THEN 'pg_catalog.french'
                WHEN 'es' THEN 'pg_catalog.spanish' WHEN 'it' THEN 'pg_catalog.italian'
                WHEN 'pt' THEN 'pg_catalog.portuguese' WHEN 'nl' THEN 'pg_catalog.dutch'
                ELSE 'pg_catalog.simple' END)::regconfig
        $$
        """
    )
