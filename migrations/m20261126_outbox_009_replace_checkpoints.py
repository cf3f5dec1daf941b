"""Let a checkpoint that moves be a new row, found from the end of an index, instead of a new version of its row.

While somebody keeps an old snapshot, versions are not cleaned up, and whoever asks where a consumer is walked over one
for each batch. The newest row of a shard comes first in the index read backwards, whatever is dead behind it.

There is still one visible row a consumer and shard: whoever inserts the next one deletes the one before. Releases
that update the row in place may work beside this one.
"""

from alembic import op

from rustok.db.rls import APP, SYSTEM, give_function

revision = "m20261126_outbox_009"
down_revision = "m20261126_jobs_018"

# One plan, whatever PostgreSQL believes of the size of the table, which it may have seen when it was small.
_BY_INDEX = "SET enable_seqscan = off SET enable_sort = off"
_KEYS_BY_INDEX = (
    "SET enable_seqscan = off SET enable_hashjoin = off SET enable_mergejoin = off SET enable_material = off"
)
LOCK = 7_310_579_631  # any constant: consumers are prepared one after the other
_FIGURES = ("consumer_figures()", "undelivered_age_s(text[])")
# BETWEEN leaves one plan, the index on (shard, position): with `=` PostgreSQL may walk through the whole log for a
# shard that has been quiet.
_UNREAD = """
    event_log AS e
     WHERE e.shard BETWEEN c.shard AND c.shard AND e.position > c.position
     ORDER BY e.shard, e.position
"""
_FIRST_DUE = """
    parked_aggregates AS p
     WHERE p.consumer = c.consumer AND p.shard = c.shard AND p.state = 'retrying' AND p.due_at <= at_time
       AND (p.needs IS NULL OR p.needs = ANY (known))
     ORDER BY p.due_at LIMIT 1
"""


def upgrade() -> None:
    # Whoever waits for a lock has others wait behind it: better to fail, and to be tried again.
    op.execute("SET LOCAL lock_timeout = '3s'")
    # Rows that were updated in place would make the new index useless to transactions that began before.
    op.execute("CREATE TEMPORARY TABLE kept_checkpoints ON COMMIT DROP AS TABLE checkpoints")
    op.execute("TRUNCATE checkpoints")
    op.execute("ALTER TABLE checkpoints DROP CONSTRAINT checkpoints_pkey, ADD PRIMARY KEY (consumer, shard, position)")
    op.execute("ALTER TABLE checkpoints RESET (fillfactor), SET (vacuum_truncate = off)")
    op.execute("INSERT INTO checkpoints SELECT * FROM kept_checkpoints")
    op.execute("RESET lock_timeout")
    _let_shards_have_one_first_row()
    _find_current_checkpoints()
    _claim_and_move()
    _judge_by_current_checkpoints()


def _let_shards_have_one_first_row() -> None:
    """Every relay that starts prepares consumers, and the key no longer tells that they are there."""
    op.execute(
        f"""
        CREATE FUNCTION keep_checkpoint() RETURNS trigger LANGUAGE plpgsql SET search_path = public, pg_temp AS $$
        BEGIN
            PERFORM pg_advisory_xact_lock({LOCK});
            IF EXISTS (SELECT FROM checkpoints WHERE consumer = NEW.consumer AND shard = NEW.shard) THEN
                RETURN NULL;
            END IF;
            RETURN NEW;
        END $$
        """
    )
    op.execute(
        """
        CREATE TRIGGER keep_checkpoint BEFORE INSERT ON checkpoints
           FOR EACH ROW WHEN (NEW.position = 0) EXECUTE FUNCTION keep_checkpoint()
        """
    )


def _find_current_checkpoints() -> None:
    op.execute(
        f"""
        CREATE FUNCTION checkpoints_of(of_consumer text)
        RETURNS TABLE (consumer text, shard smallint, "position" bigint, is_live boolean)
        LANGUAGE plpgsql STABLE ROWS 16 {_BY_INDEX} AS $$
        #variable_conflict use_column
        BEGIN
            RETURN QUERY
            SELECT of_consumer, shards.shard::smallint, newest.position, newest.is_live
              FROM generate_series(0, 15) AS shards (shard)
             CROSS JOIN LATERAL (
                   SELECT c.position, c.is_live FROM checkpoints AS c
                    WHERE c.consumer = of_consumer AND c.shard = shards.shard
                    ORDER BY c.position DESC LIMIT 1) AS newest;
        END $$
        """
    )
    op.execute(
        f"""
        CREATE FUNCTION current_checkpoints()
        RETURNS TABLE (consumer text, shard smallint, "position" bigint, is_live boolean)
        LANGUAGE plpgsql STABLE ROWS 100 {_BY_INDEX} AS $$
        #variable_conflict use_column
        BEGIN
            RETURN QUERY
            WITH RECURSIVE names AS (
                (SELECT c.consumer FROM checkpoints AS c ORDER BY c.consumer DESC LIMIT 1)
                UNION ALL
                SELECT next.* FROM names CROSS JOIN LATERAL (
                       SELECT c.consumer FROM checkpoints AS c
                        WHERE c.consumer < names.consumer ORDER BY c.consumer DESC LIMIT 1) AS next
            )
            SELECT c.* FROM names CROSS JOIN LATERAL checkpoints_of(names.consumer) AS c;
        END $$
        """
    )


def _claim_and_move() -> None:
    """A row that somebody has replaced since a claim began is passed over, like one that somebody holds."""
    op.execute(
        f"""
        CREATE FUNCTION claim_checkpoints(of_consumer text, at_time timestamptz, known text[], batch integer)
        RETURNS TABLE (shard smallint, "position" bigint, has_due boolean)
        LANGUAGE plpgsql VOLATILE ROWS 16 {_KEYS_BY_INDEX} AS $$
        #variable_conflict use_column
        BEGIN
            RETURN QUERY
            WITH backlog AS (
                SELECT c.shard, c.position, unread.events, unread.oldest, due.due_at IS NOT NULL AS has_due
                  FROM checkpoints_of(of_consumer) AS c
                 CROSS JOIN LATERAL (SELECT count(*) AS events, min(e.position) AS oldest
                                       FROM (SELECT e.position FROM {_UNREAD} LIMIT batch) AS e) AS unread
                  LEFT JOIN LATERAL (SELECT p.due_at FROM {_FIRST_DUE}) AS due ON true
                 WHERE unread.events > 0 OR due.due_at IS NOT NULL
            )
            SELECT c.shard, c.position, backlog.has_due
              FROM backlog
              JOIN checkpoints AS c
                ON c.consumer = of_consumer AND c.shard = backlog.shard AND c.position = backlog.position
             ORDER BY coalesce(backlog.oldest, 0)
             LIMIT (SELECT greatest(1, count(*) * batch / greatest(1, sum(b.events)::bigint)) FROM backlog AS b)
               FOR UPDATE OF c SKIP LOCKED;
        END $$
        """
    )
    op.execute(
        f"""
        CREATE FUNCTION move_checkpoints(of_consumer text, shards smallint[], befores bigint[], afters bigint[])
        RETURNS void LANGUAGE plpgsql VOLATILE {_KEYS_BY_INDEX} AS $$
        #variable_conflict use_column
        BEGIN
            WITH moved AS (
                DELETE FROM checkpoints AS c USING unnest(shards, befores, afters) AS read (shard, before, after)
                 WHERE c.consumer = of_consumer AND c.shard = read.shard AND c.position = read.before
                RETURNING c.shard, read.after, c.is_live
            )
            INSERT INTO checkpoints (consumer, shard, position, is_live)
            SELECT of_consumer, moved.shard, moved.after, moved.is_live FROM moved;
        END $$
        """
    )
    # The first unread event of a shard is its oldest. SKIP LOCKED: a shard that is being read now can wait a second.
    op.execute(
        f"""
        CREATE FUNCTION count_caught_up() RETURNS bigint LANGUAGE sql VOLATILE {_KEYS_BY_INDEX} AS $$
            WITH caught_up AS (
                SELECT c.consumer, c.shard, c.position
                  FROM current_checkpoints() AS c
                 WHERE NOT c.is_live
                   AND coalesce((SELECT e.recorded_at FROM {_UNREAD} LIMIT 1) > now() - interval '5 seconds', true)
            ), counted AS (
                UPDATE checkpoints SET is_live = true
                 WHERE (consumer, shard, position) IN (
                       SELECT k.consumer, k.shard, k.position
                         FROM caught_up JOIN checkpoints AS k USING (consumer, shard, position)
                          FOR UPDATE OF k SKIP LOCKED)
                RETURNING 1
            )
            SELECT count(*) FROM counted
        $$
        """
    )
    for signature in (
        "checkpoints_of(text)",
        "current_checkpoints()",
        "claim_checkpoints(text, timestamptz, text[], integer)",
        "move_checkpoints(text, smallint[], bigint[], bigint[])",
        "count_caught_up()",
    ):
        op.execute(f"REVOKE ALL ON FUNCTION {signature} FROM PUBLIC")
        op.execute(f"GRANT EXECUTE ON FUNCTION {signature} TO {SYSTEM}")


def _judge_by_current_checkpoints() -> None:
    """As in outbox_006, 007 and 008, but for the checkpoints that they ask for."""
    op.execute(
        """
        CREATE OR REPLACE FUNCTION shorten_event_log(kept interval) RETURNS boolean LANGUAGE plpgsql VOLATILE AS $$
        DECLARE
            oldest regclass;
            past_it bigint;
        BEGIN
            IF NOT pg_try_advisory_xact_lock(7310579629) THEN
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
               AND NOT EXISTS (SELECT FROM current_checkpoints() AS c
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
    for signature in _FIGURES:
        op.execute(f"DROP FUNCTION {signature}")
    op.execute(
        """
        CREATE FUNCTION consumer_figures()
        RETURNS TABLE (consumer text, lag_events bigint, lag_s double precision, retrying bigint, dead bigint)
        LANGUAGE sql STABLE SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp AS $$
            SELECT c.consumer, sum(b.events)::bigint, coalesce(max(b.age_s), 0),
                   (SELECT count(*) FROM parked_aggregates AS p
                     WHERE p.consumer = c.consumer AND p.state = 'retrying'),
                   (SELECT count(*) FROM parked_aggregates AS p
                     WHERE p.consumer = c.consumer AND p.state = 'dead')
              FROM current_checkpoints() AS c
              CROSS JOIN LATERAL (
                   SELECT count(*) AS events, extract(epoch FROM clock_timestamp() - min(e.recorded_at)) AS age_s
                     FROM (SELECT recorded_at FROM event_log AS e
                            WHERE e.shard BETWEEN c.shard AND c.shard AND e.position > c.position
                            ORDER BY e.shard, e.position LIMIT 10000) AS e) AS b
             GROUP BY c.consumer ORDER BY c.consumer
        $$
        """
    )
    op.execute(
        """
        CREATE FUNCTION undelivered_age_s(of_consumers text[]) RETURNS double precision
        LANGUAGE sql STABLE SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp AS $$
            SELECT greatest(0, extract(epoch FROM clock_timestamp() - least(
                   (SELECT occurred_at FROM outbox WHERE id > (SELECT floor_id FROM log_state) ORDER BY id LIMIT 1),
                   (SELECT min(unread.recorded_at)
                      FROM unnest(of_consumers) AS names (consumer)
                     CROSS JOIN LATERAL checkpoints_of(names.consumer) AS c
                     CROSS JOIN LATERAL (
                           SELECT e.recorded_at FROM event_log AS e
                            WHERE e.shard BETWEEN c.shard AND c.shard AND e.position > c.position
                            ORDER BY e.shard, e.position LIMIT 1) AS unread
                     WHERE c.is_live))))
        $$
        """
    )
    for signature in _FIGURES:
        for statement in give_function(signature, SYSTEM, f"{APP}, {SYSTEM}"):
            op.execute(statement)
