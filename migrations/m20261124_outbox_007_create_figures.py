"""Create the figures of the log: numbers over all tenants, for roles that may not read the rows."""

from alembic import op

from rustok.db.rls import APP, SYSTEM, give_function

revision = "m20261124_outbox_007"
down_revision = "m20261124_outbox_006"


def upgrade() -> None:
    op.execute(
        """
        CREATE FUNCTION log_figures()
        RETURNS TABLE (outbox_pending bigint, outbox_oldest_age_s double precision, log_position bigint)
        LANGUAGE sql STABLE SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp AS $$
            SELECT (SELECT count(*) FROM (SELECT FROM outbox LIMIT 100000) AS o),
                   coalesce((SELECT extract(epoch FROM clock_timestamp() - occurred_at)
                               FROM outbox ORDER BY id LIMIT 1), 0),
                   coalesce((SELECT position FROM event_log ORDER BY position DESC LIMIT 1), 0)
        $$
        """
    )
    # BETWEEN leaves one plan, the index on (shard, position): with `=` PostgreSQL may walk through the whole log for
    # a shard that has been quiet.
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
              FROM checkpoints AS c
              CROSS JOIN LATERAL (
                   SELECT count(*) AS events, extract(epoch FROM clock_timestamp() - min(e.recorded_at)) AS age_s
                     FROM (SELECT recorded_at FROM event_log AS e
                            WHERE e.shard BETWEEN c.shard AND c.shard AND e.position > c.position
                            ORDER BY e.shard, e.position LIMIT 10000) AS e) AS b
             GROUP BY c.consumer ORDER BY c.consumer
        $$
        """
    )
    for signature in ("log_figures()", "consumer_figures()"):
        for statement in give_function(signature, SYSTEM, f"{APP}, {SYSTEM}"):
            op.execute(statement)
