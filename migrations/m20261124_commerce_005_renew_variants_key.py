"""Make the key of variants its newest index, which is the one that checks of new prices use from the first row on.

Between indexes that seem to cost the same, as all do while a table is empty, PostgreSQL takes the newest, and a
connection keeps that plan: it went through all variants of the tenant for each price, until the next ANALYZE.
"""

from alembic import op

revision = "m20261124_commerce_005"
down_revision = "m20261124_index_007"


def upgrade() -> None:
    op.execute("ALTER TABLE prices DROP CONSTRAINT prices_tenant_id_variant_id_fkey")
    op.execute("ALTER TABLE variants DROP CONSTRAINT variants_pkey, ADD PRIMARY KEY (tenant_id, id)")
    op.execute("ALTER TABLE prices ADD FOREIGN KEY (tenant_id, variant_id) REFERENCES variants ON DELETE CASCADE")
