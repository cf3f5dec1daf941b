"""Create the log's retention: whole partitions go, the oldest first, once nothing waits for an event in them."""

from alembic import op

revision = "m20261124_outbox_006"
down_revision = "m20261124_outbox_005"

LOCK = 7_310_579_629  # any constant: a second relay would find the partition gone that it was looking at


def upgrade() -> None:
    # What waits may only move upwards meanwhile: a consumer's first unread event, and an aggregate that it parks
    # from there on. The newest event stays, since the sequencer counts on from its position. BETWEEN leaves one plan,
    # the index on (shard, position): with `=` PostgreSQL may walk through the whole log for a quiet shard.
    op.execute(
        f"""
        CREATE FUNCTION shorten_event_log(kept interval) RETURNS boolean LANGUAGE plpgsql VOLATILE AS $$
        DECLARE
            oldest regclass;
            past_it bigint;
        BEGIN
            IF NOT pg_try_advisory_xact_lock({LOCK}) THEN
                RETURN false;
            END IF;
            SELECT oid, (regexp_match(pg_get_expr(relpartbound, oid), 'TO \\(''(\\d+)''\\)'))[1]::bigint AS ends
              INTO oldest, past_it
              FROM pg_inherits JOIN pg_class ON oid = inhrelid
             WHERE inhparent = 'event_log'::regclass ORDER BY ends LIMIT 1;
            IF (SELECT recorded_at FROM event_log WHERE position < past_it ORDER BY position DESC LIMIT 1)
                    < clock_timestamp() - kept
               AND EXISTS (SELECT FROM event_log WHERE position >= past_it)
               AND NOT EXISTS (SELECT FROM parked_aggregates WHERE position < past_it)
               AND NOT EXISTS (SELECT FROM checkpoints AS c
                                WHERE (SELECT position FROM event_log AS e
                                        WHERE e.shard BETWEEN c.shard AND c.shard AND e.position > c.position
                                        ORDER BY e.shard, e.position LIMIT 1) < past_it)
            THEN
                RETURN drop_event_log_partition(oldest);
            END IF;
            RETURN false;
        END $$
        """
    )
    # DROP waits until nobody reads the log, and new readers wait behind it: it gives up before they notice.
    op.execute(
        """
        CREATE FUNCTION drop_event_log_partition(partition regclass) RETURNS boolean
        LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp AS $$
        BEGIN
            IF NOT EXISTS (SELECT FROM pg_inherits
                            WHERE inhrelid = partition AND inhparent = 'public.event_log'::regclass) THEN
                RAISE EXCEPTION '% is no partition of the log', partition USING ERRCODE = '42501';
            END IF;
            SET LOCAL lock_timeout = '200ms';
            EXECUTE format('DROP TABLE %s', partition);
            RETURN true;
        EXCEPTION WHEN lock_not_available THEN
            RETURN false;
        END $$
        """
    )
    for signature in ("shorten_event_log(interval)", "drop_event_log_partition(regclass)"):
        op.execute(f"REVOKE ALL ON FUNCTION {signature} FROM PUBLIC")
        op.execute(f"GRANT EXECUTE ON FUNCTION {signature} TO rustok_system")
