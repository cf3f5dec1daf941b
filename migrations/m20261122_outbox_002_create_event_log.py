"""Create the log: append-only, in partitions of a million positions, without gaps."""

from alembic import op

from rustok.db.rls import protect

revision = "m20261122_outbox_002"
down_revision = "m20261122_outbox_001"


def upgrade() -> None:
    op.execute(
        """
        CREATE TABLE event_log (
            position bigint NOT NULL,
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
            recorded_at timestamptz NOT NULL DEFAULT clock_timestamp(),
            payload jsonb NOT NULL,
            PRIMARY KEY (position)
        ) PARTITION BY RANGE (position)
        """
    )
    op.execute("CREATE INDEX event_log_shard ON event_log (shard, position)")
    op.execute("CREATE INDEX event_log_aggregate ON event_log (tenant_id, aggregate_id, position)")
    for statement in protect("event_log", "SELECT"):
        op.execute(statement)
    # One row of facts about the log. Nothing writes it batch by batch: its dead versions would slow the
    # sequencer down while an old snapshot is pinned.
    op.execute(
        """
        CREATE TABLE log_state (
            singleton boolean PRIMARY KEY DEFAULT true CHECK (singleton),
            shards smallint NOT NULL,
            partitioned_to bigint NOT NULL,
            floor_id bigint NOT NULL DEFAULT 0,
            next_floor_id bigint,
            next_floor_writers text[]
        )
        """
    )
    op.execute("GRANT SELECT, UPDATE ON log_state TO rustok_system")
    op.execute("INSERT INTO log_state (shards, partitioned_to) VALUES (16, 0)")
    op.execute(
        """
        CREATE FUNCTION extend_event_log() RETURNS void
        LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp AS $$
        DECLARE
            size constant bigint := 1000000;
            start constant bigint := (SELECT partitioned_to FROM public.log_state);
            partition constant text := format('event_log_%s', lpad((start / size)::text, 6, '0'));
        BEGIN
            -- ATTACH lets readers and writers of the log go on; CREATE ... PARTITION OF would stop them.
            EXECUTE format('CREATE TABLE public.%I (LIKE public.event_log INCLUDING DEFAULTS)', partition);
            EXECUTE format('ALTER TABLE public.event_log ATTACH PARTITION public.%I FOR VALUES FROM (%s) TO (%s)',
                           partition, start, start + size);
            UPDATE public.log_state SET partitioned_to = start + size;
        END $$
        """
    )
    op.execute("REVOKE ALL ON FUNCTION extend_event_log() FROM PUBLIC")
    op.execute("GRANT EXECUTE ON FUNCTION extend_event_log() TO rustok_system")
    op.execute("SELECT extend_event_log()")
