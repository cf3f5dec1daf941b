"""Create what the projections have applied: one row a projection and aggregate, kept after a deletion."""

from alembic import op

from rustok.db.rls import protect

revision = "m20261122_index_001"
down_revision = "m20261122_commerce_004"


def upgrade() -> None:
    op.execute(
        """
        CREATE TABLE index_versions (
            projection text NOT NULL,
            tenant_id uuid NOT NULL,
            aggregate_id uuid NOT NULL,
            version bigint NOT NULL,
            is_deleted boolean NOT NULL DEFAULT false,
            PRIMARY KEY (projection, tenant_id, aggregate_id)
        ) WITH (fillfactor = 80)
        """
    )
    for statement in protect("index_versions", "SELECT"):
        op.execute(statement)
