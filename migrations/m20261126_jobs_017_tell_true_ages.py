"""Let job_figures find the oldest job of each queue, and count each state apart.

Both were taken from any 100,000 jobs: beside so many dead letters a queue that was stuck looked empty.
"""

from alembic import op

from rustok.db.rls import APP, SYSTEM, give_function

revision = "m20261126_jobs_017"
down_revision = "m20261126_jobs_016"

_MOST = 100_000
_READY = "state = 'ready' AND lease_token IS NULL"
# Without seqscan: PostgreSQL takes the ledger for empty, and would read all of it, again and again.
_FIGURES = f"""
    CREATE FUNCTION job_figures()
    RETURNS TABLE (queue text, ready bigint, leased bigint, dead bigint, oldest_age_s double precision)
    LANGUAGE plpgsql STABLE SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp
    SET enable_seqscan = off AS $$
    BEGIN
        RETURN QUERY
        WITH RECURSIVE waiting AS (
            (SELECT j.queue, j.due_at FROM jobs AS j WHERE {_READY} ORDER BY j.queue, j.due_at LIMIT 1)
            UNION ALL
            SELECT next.*
              FROM waiting
             CROSS JOIN LATERAL (
                   SELECT j.queue, j.due_at FROM jobs AS j WHERE {_READY} AND j.queue > waiting.queue
                    ORDER BY j.queue, j.due_at LIMIT 1) AS next
        ), counted AS (
            SELECT waiting.queue, 'ready' AS state, counted.jobs
              FROM waiting
             CROSS JOIN LATERAL (
                   SELECT count(*) AS jobs
                     FROM (SELECT FROM jobs AS j WHERE {_READY} AND j.queue = waiting.queue LIMIT {_MOST}) AS j
                   ) AS counted
            UNION ALL
            SELECT j.queue, 'leased', count(*)
              FROM (SELECT jobs.queue FROM jobs WHERE state = 'leased' LIMIT {_MOST}) AS j GROUP BY j.queue
            UNION ALL
            SELECT j.queue, j.state, count(*)
              FROM ((SELECT jobs.queue, jobs.state FROM jobs WHERE state = 'dead' LIMIT {_MOST})
                    UNION ALL
                    (SELECT jobs.queue, jobs.state FROM jobs WHERE state = 'needs_version' LIMIT {_MOST})) AS j
             GROUP BY j.queue, j.state
        )
        SELECT c.queue,
               coalesce(sum(c.jobs) FILTER (WHERE c.state = 'ready'), 0)::bigint,
               coalesce(sum(c.jobs) FILTER (WHERE c.state = 'leased'), 0)::bigint,
               coalesce(sum(c.jobs) FILTER (WHERE c.state = 'dead'), 0)::bigint,
               coalesce(greatest(extract(epoch FROM clock_timestamp() - (
                   SELECT waiting.due_at FROM waiting WHERE waiting.queue = c.queue)), 0), 0)::double precision
          FROM counted AS c GROUP BY c.queue ORDER BY c.queue;
    END
    $$
"""


def upgrade() -> None:
    op.execute("DROP FUNCTION job_figures()")
    op.execute(_FIGURES)
    for statement in give_function("job_figures()", SYSTEM, f"{APP}, {SYSTEM}"):
        op.execute(statement)
