"""Create how far the import of a file has come: it moves in the transactions that import."""

from alembic import op

from rustok.db.rls import protect

revision = "m20261122_commerce_004"
down_revision = "m20261122_commerce_003"


def upgrade() -> None:
    op.execute(
        """
        CREATE TABLE product_imports (
            tenant_id uuid NOT NULL REFERENCES tenants,
            source text NOT NULL,
            next_line bigint NOT NULL,
            imported bigint NOT NULL,
            rejected bigint NOT NULL,
            updated_at timestamptz NOT NULL,
            PRIMARY KEY (tenant_id, source)
        )
        """
    )
    for statement in protect("product_imports", "SELECT, INSERT, UPDATE"):
        op.execute(statement)
