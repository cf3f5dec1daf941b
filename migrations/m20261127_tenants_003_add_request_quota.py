"""Add request_quota: what a tenant may send, where that is not what all may."""

from alembic import op

revision = "m20261127_tenants_003"
down_revision = "m20261127_index_008"


def upgrade() -> None:
    op.execute("ALTER TABLE tenants ADD COLUMN request_quota text")
