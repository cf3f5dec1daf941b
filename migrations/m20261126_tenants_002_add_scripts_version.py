"""Add scripts_version: what workers have read of a tenant's scripts holds while it stays the same."""

from alembic import op

revision = "m20261126_tenants_002"
down_revision = "m20261125_jobs_004"


def upgrade() -> None:
    op.execute("ALTER TABLE tenants ADD COLUMN scripts_version bigint NOT NULL DEFAULT 1")
