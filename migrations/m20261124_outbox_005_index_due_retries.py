"""Index the retries by shard and due time: a claim finds its own, and never meets a dead letter."""

from alembic import op

revision = "m20261124_outbox_005"
down_revision = "m20261122_index_005"


def upgrade() -> None:
    op.execute("DROP INDEX parked_aggregates_shard")
    op.execute("DROP INDEX parked_aggregates_due")
    op.execute(
        "CREATE INDEX parked_aggregates_retries ON parked_aggregates (consumer, shard, due_at) WHERE state = 'retrying'"
    )
