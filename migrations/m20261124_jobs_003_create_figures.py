"""Create the figures of the ledger: numbers over all tenants, for roles that may not read the rows."""

from alembic import op

from rustok.db.rls import APP, SYSTEM, give_function

revision = "m20261124_jobs_003"
down_revision = "m20261124_jobs_002"


def upgrade() -> None:
    op.execute(
        """
        CREATE FUNCTION job_figures()
        RETURNS TABLE (queue text, ready bigint, leased bigint, dead bigint, oldest_age_s double precision)
        LANGUAGE sql STABLE SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp AS $$
            SELECT queue,
                   count(*) FILTER (WHERE state = 'ready'),
                   count(*) FILTER (WHERE state = 'leased'),
                   count(*) FILTER (WHERE state = 'dead'),
                   greatest(max(extract(epoch FROM clock_timestamp() - due_at)) FILTER (WHERE state = 'ready'), 0)
              FROM (SELECT queue, state, due_at FROM jobs LIMIT 100000) AS j
             GROUP BY queue ORDER BY queue
        $$
        """
    )
    for statement in give_function("job_figures()", SYSTEM, f"{APP}, {SYSTEM}"):
        op.execute(statement)
