"""Create products and their texts, one row a locale."""

from alembic import op

from rustok.db.rls import protect

revision = "m20261122_commerce_001"
down_revision = "m20261122_access_001"


def upgrade() -> None:
    op.execute(
        """
        CREATE TABLE products (
            tenant_id uuid NOT NULL REFERENCES tenants,
            id uuid NOT NULL,
            status text NOT NULL CHECK (status IN ('draft', 'active', 'archived')),
            vendor text,
            product_type text,
            tags text[] NOT NULL DEFAULT '{}',
            rich_description jsonb NOT NULL DEFAULT '{}',
            seo jsonb NOT NULL DEFAULT '{}',
            version bigint NOT NULL,
            created_at timestamptz NOT NULL,
            updated_at timestamptz NOT NULL,
            published_at timestamptz,
            PRIMARY KEY (tenant_id, id)
        )
        """
    )
    op.execute(
        """
        CREATE TABLE product_translations (
            tenant_id uuid NOT NULL,
            product_id uuid NOT NULL,
            locale text NOT NULL,
            title text NOT NULL,
            handle text NOT NULL,
            description text NOT NULL,
            meta_title text,
            meta_description text,
            PRIMARY KEY (tenant_id, product_id, locale),
            CONSTRAINT product_translations_handle_key UNIQUE (tenant_id, locale, handle),
            FOREIGN KEY (tenant_id, product_id) REFERENCES products ON DELETE CASCADE
        )
        """
    )
    for table in ("products", "product_translations"):
        for statement in protect(table, "SELECT, INSERT, UPDATE, DELETE"):
            op.execute(statement)
