"""Create what consumers remember: how far they are in each shard, and which aggregates they have parked."""

from alembic import op

from rustok.db.rls import protect

revision = "m20261122_outbox_004"
down_revision = "m20261122_outbox_003"


def upgrade() -> None:
    op.execute(
        """
        CREATE TABLE checkpoints (
            consumer text NOT NULL,
            shard smallint NOT NULL,
            position bigint NOT NULL DEFAULT 0,
            PRIMARY KEY (consumer, shard)
        ) WITH (fillfactor = 50)
        """
    )
    op.execute("GRANT SELECT, INSERT, UPDATE, DELETE ON checkpoints TO rustok_system")
    # The events of a parked aggregate wait in the log, from `position` on: nothing is copied.
    op.execute(
        """
        CREATE TABLE parked_aggregates (
            consumer text NOT NULL,
            shard smallint NOT NULL,
            tenant_id uuid NOT NULL,
            aggregate_id uuid NOT NULL,
            aggregate_type text NOT NULL,
            position bigint NOT NULL,
            state text NOT NULL CHECK (state IN ('retrying', 'dead')),
            attempts integer NOT NULL,
            due_at timestamptz NOT NULL,
            error text NOT NULL,
            parked_at timestamptz NOT NULL,
            PRIMARY KEY (consumer, tenant_id, aggregate_id)
        )
        """
    )
    op.execute("CREATE INDEX parked_aggregates_shard ON parked_aggregates (consumer, shard)")
    op.execute("CREATE INDEX parked_aggregates_due ON parked_aggregates (due_at) WHERE state = 'retrying'")
    for statement in protect("parked_aggregates", "SELECT"):
        op.execute(statement)
