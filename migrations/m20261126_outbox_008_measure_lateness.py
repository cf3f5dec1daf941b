"""Create undelivered_age_s, by which writes are admitted: for how long the oldest undelivered event has waited.

A consumer that is new reads the log from its start, which is no overload: its checkpoints are not live until they
have caught up once. Those that exist have.
"""

from alembic import op

from rustok.db.rls import APP, SYSTEM, give_function

revision = "m20261126_outbox_008"
down_revision = "m20261126_jobs_006"


def upgrade() -> None:
    op.execute("ALTER TABLE checkpoints ADD COLUMN is_live boolean NOT NULL DEFAULT true")
    op.execute("ALTER TABLE checkpoints ALTER COLUMN is_live SET DEFAULT false")
    # One look-up an index for the outbox and for each shard: the figures count, which is dear when much waits.
    op.execute(
        """
        CREATE FUNCTION undelivered_age_s(of_consumers text[]) RETURNS double precision
        LANGUAGE sql STABLE SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp AS $$
            SELECT greatest(0, extract(epoch FROM clock_timestamp() - least(
                   (SELECT occurred_at FROM outbox WHERE id > (SELECT floor_id FROM log_state) ORDER BY id LIMIT 1),
                   (SELECT min(unread.recorded_at)
                      FROM checkpoints AS c
                     CROSS JOIN LATERAL (
                           SELECT e.recorded_at FROM event_log AS e
                            WHERE e.shard BETWEEN c.shard AND c.shard AND e.position > c.position
                            ORDER BY e.shard, e.position LIMIT 1) AS unread
                     WHERE c.consumer = ANY (of_consumers) AND c.is_live))))
        $$
        """
    )
    for statement in give_function("undelivered_age_s(text[])", SYSTEM, f"{APP}, {SYSTEM}"):
        op.execute(statement)
