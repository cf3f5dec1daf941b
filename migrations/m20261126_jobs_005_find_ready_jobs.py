"""Create ready_jobs: what is due of a queue, in fair turns, at a cost that does not grow with the queue.

A function, since that needs a setting. The ledger is full one minute and empty the next, and PostgreSQL, which
remembers it as empty, would read all the jobs of a tenant and sort them, where an index has the first few in order.
"""

from alembic import op

revision = "m20261126_jobs_005"
down_revision = "m20261126_tenants_002"


def upgrade() -> None:
    # The tenants that have something ready are found by hopping over the index, so that ten thousand jobs of one of
    # them cost the others nothing; each then gives its first few.
    op.execute(
        """
        CREATE FUNCTION ready_jobs(wanted_queue text, except_ids uuid[], most integer) RETURNS SETOF uuid
            LANGUAGE plpgsql STABLE ROWS 100 SET enable_sort = off AS $$
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
            )
            SELECT job.id
              FROM tenant
             CROSS JOIN LATERAL (
                   SELECT j.id, j.priority, j.due_at FROM jobs AS j
                    WHERE j.queue = wanted_queue AND j.state = 'ready' AND j.tenant_id = tenant.tenant_id
                      AND j.due_at <= now() AND j.id <> ALL (except_ids)
                    ORDER BY j.priority DESC, j.due_at, j.id LIMIT most) AS job
             WHERE (SELECT t.is_active FROM tenants AS t WHERE t.id = tenant.tenant_id)
             ORDER BY row_number() OVER (PARTITION BY tenant.tenant_id
                                             ORDER BY job.priority DESC, job.due_at, job.id), job.due_at
             LIMIT most;
        END
        $$
        """
    )
    op.execute("REVOKE ALL ON FUNCTION ready_jobs(text, uuid[], integer) FROM PUBLIC")
    op.execute("GRANT EXECUTE ON FUNCTION ready_jobs(text, uuid[], integer) TO rustok_system")
