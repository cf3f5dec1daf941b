"""Keep the consistency token of an answer with it, so that a retry gets the same one."""

from alembic import op

revision = "m20261127_db_002"
down_revision = "m20261126_outbox_009"


def upgrade() -> None:
    op.execute("ALTER TABLE idempotency_keys ADD COLUMN token text")
