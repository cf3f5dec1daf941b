"""Create the outbox: events of committed transactions that have no place in the log yet."""

from alembic import op

from rustok.db.rls import protect

revision = "m20261122_outbox_001"
down_revision = "m20261122_db_001"


def upgrade() -> None:
    # CACHE 1: ids that a connection keeps for later would let an aggregate's events change places.
    op.execute(
        """
        CREATE TABLE outbox (
            id bigint GENERATED ALWAYS AS IDENTITY (CACHE 1) PRIMARY KEY,
            shard smallint NOT NULL,
            event_id uuid NOT NULL,
            type text NOT NULL,
            schema_version smallint NOT NULL,
            tenant_id uuid NOT NULL,
            aggregate_type text NOT NULL,
            aggregate_id uuid NOT NULL,
            aggregate_version bigint NOT NULL,
            correlation_id uuid NOT NULL,
            causation_id uuid NOT NULL,
            traceparent text,
            actor text NOT NULL,
            occurred_at timestamptz NOT NULL,
            payload jsonb NOT NULL
        ) WITH (autovacuum_vacuum_scale_factor = 0, autovacuum_vacuum_threshold = 5000)
        """
    )
    for statement in protect("outbox", "INSERT"):
        op.execute(statement)
