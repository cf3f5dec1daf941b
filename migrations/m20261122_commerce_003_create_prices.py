"""Create prices: one a variant and currency, in minor units."""

from alembic import op

from rustok.db.rls import protect

revision = "m20261122_commerce_003"
down_revision = "m20261122_commerce_002"


def upgrade() -> None:
    op.execute(
        """
        CREATE TABLE prices (
            tenant_id uuid NOT NULL,
            variant_id uuid NOT NULL,
            currency text NOT NULL,
            amount bigint NOT NULL CHECK (amount >= 0),
            compare_at bigint,
            PRIMARY KEY (tenant_id, variant_id, currency),
            CONSTRAINT prices_compare_at_check CHECK (compare_at >= amount),
            FOREIGN KEY (tenant_id, variant_id) REFERENCES variants ON DELETE CASCADE
        )
        """
    )
    for statement in protect("prices", "SELECT, INSERT, UPDATE, DELETE"):
        op.execute(statement)
