"""Create what is sold: the options of a product, and a variant for each combination of their values."""

from alembic import op

from rustok.db.rls import protect

revision = "m20261122_commerce_002"
down_revision = "m20261122_commerce_001"


def upgrade() -> None:
    op.execute(
        """
        CREATE TABLE product_options (
            tenant_id uuid NOT NULL,
            product_id uuid NOT NULL,
            position smallint NOT NULL CHECK (position BETWEEN 1 AND 3),
            name text NOT NULL,
            choices text[] NOT NULL,
            PRIMARY KEY (tenant_id, product_id, position),
            FOREIGN KEY (tenant_id, product_id) REFERENCES products ON DELETE CASCADE
        )
        """
    )
    op.execute(
        """
        CREATE TABLE variants (
            tenant_id uuid NOT NULL,
            id uuid NOT NULL,
            product_id uuid NOT NULL,
            position smallint NOT NULL,
            sku text CONSTRAINT variants_sku_not_empty CHECK (sku <> ''),
            barcode text,
            inventory_policy text NOT NULL CHECK (inventory_policy IN ('deny', 'continue')),
            weight_g integer,
            option1 text,
            option2 text,
            option3 text,
            PRIMARY KEY (tenant_id, id),
            CONSTRAINT variants_sku_key UNIQUE (tenant_id, sku),
            CONSTRAINT variants_options_key
                UNIQUE NULLS NOT DISTINCT (tenant_id, product_id, option1, option2, option3),
            FOREIGN KEY (tenant_id, product_id) REFERENCES products ON DELETE CASCADE
        )
        """
    )
    for table in ("product_options", "variants"):
        for statement in protect(table, "SELECT, INSERT, UPDATE, DELETE"):
            op.execute(statement)
