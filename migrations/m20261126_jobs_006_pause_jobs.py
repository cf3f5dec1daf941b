"""Create job_pauses: what nobody is to begin, by queue, kind or tenant, until it is resumed.

Paused jobs stay as they are and lose nothing; whoever looks for work passes them over.
"""

from alembic import op

from rustok.db.rls import protect

revision = "m20261126_jobs_006"
down_revision = "m20261126_jobs_005"


def upgrade() -> None:
    op.execute(
        """
        CREATE TABLE job_pauses (
            queue text,
            kind text,
            tenant_id uuid REFERENCES tenants ON DELETE CASCADE,
            reason text,
            paused_by text NOT NULL,
            paused_at timestamptz NOT NULL DEFAULT now(),
            UNIQUE NULLS NOT DISTINCT (queue, kind, tenant_id),
            CHECK (num_nonnulls(queue, kind, tenant_id) > 0)
        )
        """
    )
    op.execute("ALTER TABLE job_pauses REPLICA IDENTITY FULL")  # it has no primary key: any column may be missing
    for statement in protect("job_pauses", "SELECT"):
        op.execute(statement)
    op.execute(
        """
        CREATE FUNCTION paused_kinds(of_queue text, of_tenant uuid) RETURNS text[] LANGUAGE plpgsql STABLE AS $$
        BEGIN
            RETURN (SELECT CASE WHEN bool_or(kind IS NULL) THEN NULL ELSE coalesce(array_agg(kind), '{}') END
                      FROM job_pauses
                     WHERE (queue IS NULL OR queue = of_queue) AND (tenant_id IS NULL OR tenant_id = of_tenant));
        END
        $$
        """
    )
    op.execute("REVOKE ALL ON FUNCTION paused_kinds(text, uuid) FROM PUBLIC")
    op.execute("GRANT EXECUTE ON FUNCTION paused_kinds(text, uuid) TO rustok_system")
    op.execute("COMMENT ON FUNCTION paused_kinds IS 'NULL: all kinds are'")
    # As before; tenants that are paused cost nothing, however many jobs of theirs wait.
    op.execute(
        """
        CREATE OR REPLACE FUNCTION ready_jobs(wanted_queue text, except_ids uuid[], most integer) RETURNS SETOF uuid
            LANGUAGE plpgsql STABLE ROWS 100 SET enable_sort = off AS $$
        DECLARE
            is_any_paused boolean := EXISTS (SELECT FROM job_pauses WHERE queue IS NULL OR queue = wanted_queue);
        BEGIN
            RETURN QUERY
            WITH RECURSIVE tenant AS (
                (SELECT j.tenant_id FROM jobs AS j WHERE j.queue = wanted_queue AND j.state = 'ready'
                  ORDER BY j.tenant_id LIMIT 1)
                UNION ALL
                SELECT (SELECT j.tenant_id FROM jobs AS j
                         WHERE j.queue = wanted_queue AND j.state = 'ready' AND j.tenant_id > tenant.tenant_id
                         ORDER BY j.tenant_id LIMIT 1)
                  FROM tenant WHERE tenant.tenant_id IS NOT NULL
            ), served AS MATERIALIZED (
                SELECT tenant.tenant_id,
                       CASE WHEN is_any_paused THEN paused_kinds(wanted_queue, tenant.tenant_id) ELSE '{}' END
                       AS paused_kinds
                  FROM tenant
                 WHERE (SELECT t.is_active FROM tenants AS t WHERE t.id = tenant.tenant_id)
            )
            SELECT job.id
              FROM served
             CROSS JOIN LATERAL (
                   SELECT j.id, j.priority, j.due_at FROM jobs AS j
                    WHERE j.queue = wanted_queue AND j.state = 'ready' AND j.tenant_id = served.tenant_id
                      AND j.due_at <= now() AND j.id <> ALL (except_ids) AND j.kind <> ALL (served.paused_kinds)
                    ORDER BY j.priority DESC, j.due_at, j.id LIMIT most) AS job
             WHERE served.paused_kinds IS NOT NULL
             ORDER BY row_number() OVER (PARTITION BY served.tenant_id
                                             ORDER BY job.priority DESC, job.due_at, job.id), job.due_at
             LIMIT most;
        END
        $$
        """
    )
