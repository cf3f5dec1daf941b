"""Create the sequencer: moves committed events from the outbox to the log, in order, without gaps.

No leader and no lock that a client holds: any number of relays may call it, one works at a time, and what it
holds ends with its transaction, whatever becomes of the relay.
"""

from alembic import op

revision = "m20261122_outbox_003"
down_revision = "m20261122_outbox_002"

LOCK = 7_310_579_628  # any constant: the sequencer's own advisory lock


def upgrade() -> None:
    # VOLATILE matters: each statement takes a snapshot of its own, so the one after the lock sees all that
    # the previous holder committed. The position comes from the log itself, an index look-up on rows that
    # never die; a counter row would leave a dead version a batch.
    op.execute(
        f"""
        CREATE FUNCTION sequence_outbox(batch_limit integer)
        RETURNS TABLE (event_shard smallint, last_position bigint, event_count bigint, event_types text[])
        LANGUAGE plpgsql VOLATILE AS $$
        DECLARE
            head bigint;
            state log_state;
        BEGIN
            IF NOT pg_try_advisory_xact_lock({LOCK}) THEN
                RETURN;
            END IF;
            SELECT * INTO state FROM log_state;
            head := coalesce((SELECT position FROM event_log ORDER BY position DESC LIMIT 1), 0);
            IF head + batch_limit >= state.partitioned_to THEN
                PERFORM extend_event_log();
            END IF;
            RETURN QUERY
            WITH taken AS (
                DELETE FROM outbox
                 WHERE id = ANY (ARRAY(SELECT id FROM outbox WHERE id > state.floor_id ORDER BY id LIMIT batch_limit))
                RETURNING *
            ), logged AS (
                INSERT INTO event_log (position, shard, event_id, type, schema_version, tenant_id, aggregate_type,
                                       aggregate_id, aggregate_version, correlation_id, causation_id, traceparent,
                                       actor, occurred_at, payload)
                SELECT head + row_number() OVER (ORDER BY id), shard, event_id, type, schema_version, tenant_id,
                       aggregate_type, aggregate_id, aggregate_version, correlation_id, causation_id, traceparent,
                       actor, occurred_at, payload
                  FROM taken
                RETURNING shard, position, type
            )
            SELECT shard, max(position), count(*), array_agg(DISTINCT type) FROM logged GROUP BY shard;
        END $$
        """
    )
    # The floor keeps the scan above off the index entries of deleted rows, which stay while an old snapshot
    # is pinned. It may pass an id only when no transaction can still commit it: T is read first, then who
    # writes to the outbox; once those have ended, every id up to T is committed (and visible) or gone.
    op.execute(
        f"""
        CREATE FUNCTION raise_outbox_floor() RETURNS bigint LANGUAGE plpgsql VOLATILE AS $$
        DECLARE
            state log_state;
            raised bigint;
            writers text[];
            lowest bigint;
            last_id bigint;
        BEGIN
            IF NOT pg_try_advisory_xact_lock({LOCK}) THEN
                RETURN NULL;
            END IF;
            SELECT * INTO state FROM log_state;
            raised := state.floor_id;
            IF state.next_floor_id IS NOT NULL THEN
                IF state.next_floor_writers && outbox_writers() THEN
                    RETURN state.floor_id;
                END IF;
                SELECT min(id) INTO lowest FROM outbox WHERE id > state.floor_id;
                raised := least(coalesce(lowest - 1, state.next_floor_id), state.next_floor_id);
            END IF;
            last_id := coalesce(pg_sequence_last_value(pg_get_serial_sequence('outbox', 'id')::regclass), 0);
            writers := outbox_writers();
            IF raised > state.floor_id OR last_id IS DISTINCT FROM state.next_floor_id THEN
                UPDATE log_state SET floor_id = raised, next_floor_id = last_id, next_floor_writers = writers;
            END IF;
            RETURN raised;
        END $$
        """
    )
    op.execute(
        """
        CREATE FUNCTION outbox_writers() RETURNS text[] LANGUAGE sql VOLATILE AS $$
            SELECT coalesce(array_agg(virtualtransaction), '{}')
              FROM pg_locks
             WHERE locktype = 'relation' AND mode = 'RowExclusiveLock' AND relation = 'outbox'::regclass
               AND database = (SELECT oid FROM pg_database WHERE datname = current_database())
        $$
        """
    )
    op.execute("GRANT SELECT ON SEQUENCE outbox_id_seq TO rustok_system")
    for signature in ("sequence_outbox(integer)", "raise_outbox_floor()", "outbox_writers()"):
        op.execute(f"REVOKE ALL ON FUNCTION {signature} FROM PUBLIC")
        op.execute(f"GRANT EXECUTE ON FUNCTION {signature} TO rustok_system")
