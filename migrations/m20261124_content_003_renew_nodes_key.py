"""Make the key of nodes its newest index, for the reason that m20261124_commerce_005 gives."""

from alembic import op

revision = "m20261124_content_003"
down_revision = "m20261124_commerce_005"


def upgrade() -> None:
    op.execute("ALTER TABLE node_translations DROP CONSTRAINT node_translations_tenant_id_node_id_fkey")
    op.execute("ALTER TABLE nodes DROP CONSTRAINT nodes_parent_fkey")
    op.execute("ALTER TABLE nodes DROP CONSTRAINT nodes_pkey, ADD PRIMARY KEY (tenant_id, id)")
    op.execute("ALTER TABLE nodes ADD CONSTRAINT nodes_parent_fkey FOREIGN KEY (tenant_id, parent_id) REFERENCES nodes")
    op.execute("ALTER TABLE node_translations ADD FOREIGN KEY (tenant_id, node_id) REFERENCES nodes ON DELETE CASCADE")
