"""Create module_absences: from when to when a tenant has a module switched off.

The open one of a module is its state now. Those that ended tell which events its subscriptions were not to see. While
it is open no job of the module is begun, but for `kinds_on`: they wait, and lose nothing.
"""

from alembic import op

from rustok.db.rls import APP, SYSTEM, give_function, protect

revision = "m20261127_tenants_004"
down_revision = "m20261127_tenants_003"

_UNSORTED = "SET enable_seqscan = off SET enable_sort = off SET enable_incremental_sort = off"
_IN_QUEUE = "j.queue = of_queue AND j.state = 'ready' AND j.lease_token IS NULL"
# As in jobs_013, but for the modules that are off.
_IN_LANES = f"""
    CREATE OR REPLACE FUNCTION jobs_in_lanes(of_queue text, lanes job_lane[], except_ids uuid[], most integer,
                                             most_a_tenant integer)
    RETURNS TABLE (id uuid, tenant_id uuid) LANGUAGE plpgsql STABLE ROWS 100 {_UNSORTED} AS $$
    DECLARE
        is_limited boolean := EXISTS (SELECT FROM job_limits AS l WHERE num_nonnulls(l.max_running, l.starts) > 0);
    BEGIN
        RETURN QUERY
        WITH held AS MATERIALIZED (
            SELECT h.kind, h.tenant_id FROM held_jobs() AS h WHERE h.queue IS NULL OR h.queue = of_queue
        ), served AS MATERIALIZED (
            SELECT lane.*, cardinality(modules_off(lane.tenant_id)) > 0 AS is_any_off,
                   (SELECT CASE WHEN bool_or(h.kind IS NULL) THEN NULL ELSE coalesce(array_agg(h.kind), '{{}}') END
                      FROM held AS h WHERE h.tenant_id IS NULL OR h.tenant_id = lane.tenant_id) AS held_kinds
              FROM unnest(lanes) AS lane
             WHERE (SELECT t.is_active FROM tenants AS t WHERE t.id = lane.tenant_id)
        ), numbered AS (
            SELECT job.id, served.tenant_id, job.due_at,
                   row_number() OVER (PARTITION BY served.tenant_id
                                          ORDER BY served.priority DESC, job.due_at, job.id) AS turn
              FROM served
             CROSS JOIN LATERAL (
                   SELECT j.id, j.due_at FROM jobs AS j
                    WHERE {_IN_QUEUE} AND j.tenant_id = served.tenant_id AND j.priority = served.priority
                      AND j.due_at >= served.since AND j.due_at <= now() AND j.id <> ALL (except_ids)
                      AND j.kind <> ALL (served.held_kinds)
                      AND NOT (served.is_any_off AND is_kind_off(served.tenant_id, j.kind))
                    ORDER BY j.due_at, j.id LIMIT least(most, most_a_tenant)) AS job
             WHERE served.held_kinds IS NOT NULL
        ), found AS MATERIALIZED (
            SELECT n.* FROM numbered AS n WHERE n.turn <= most_a_tenant ORDER BY n.turn, n.due_at LIMIT most
        )
        SELECT f.id, f.tenant_id FROM found AS f
         WHERE NOT is_limited
            OR f.id = ANY (CAST((SELECT within_limits(ARRAY(SELECT g.id FROM found AS g ORDER BY g.turn, g.due_at),
                                                      except_ids)) AS uuid[]))
         ORDER BY f.turn, f.due_at;
    END
    $$
"""


def upgrade() -> None:
    op.execute(
        """
        CREATE TABLE module_absences (
            tenant_id uuid NOT NULL REFERENCES tenants,
            module text NOT NULL,
            off_at timestamptz NOT NULL,
            off_by text NOT NULL,
            on_at timestamptz CHECK (on_at >= off_at),
            kinds_on text[] NOT NULL,
            PRIMARY KEY (tenant_id, module, off_at)
        )
        """
    )
    op.execute(
        "CREATE UNIQUE INDEX module_absences_open_key ON module_absences (tenant_id, module) WHERE on_at IS NULL"
    )
    for statement in protect("module_absences", "SELECT, INSERT, UPDATE"):
        op.execute(statement)
    op.execute(
        """
        CREATE FUNCTION modules_off(of_tenant uuid) RETURNS text[] LANGUAGE sql STABLE AS $$
            SELECT coalesce(array_agg(module ORDER BY module), '{}') FROM public.module_absences
             WHERE tenant_id = of_tenant AND on_at IS NULL
        $$
        """
    )
    # In PL/pgSQL, so that it is asked for each job and is no join, which would read all of the ledger.
    op.execute(
        """
        CREATE FUNCTION is_kind_off(of_tenant uuid, of_kind text) RETURNS boolean LANGUAGE plpgsql STABLE AS $$
        BEGIN
            RETURN EXISTS (SELECT FROM module_absences
                            WHERE tenant_id = of_tenant AND on_at IS NULL AND module = split_part(of_kind, '.', 1)
                              AND of_kind <> ALL (kinds_on));
        END
        $$
        """
    )
    for signature, callers in (("modules_off(uuid)", f"{APP}, {SYSTEM}"), ("is_kind_off(uuid, text)", SYSTEM)):
        op.execute(f"REVOKE ALL ON FUNCTION {signature} FROM PUBLIC")
        op.execute(f"GRANT EXECUTE ON FUNCTION {signature} TO {callers}")
    op.execute(_IN_LANES)
    # As find_api_key, which the release before this one asks, but for what the tenant may.
    op.execute(
        """
        CREATE FUNCTION identify_api_key(wanted text)
        RETURNS TABLE (tenant_id uuid, id uuid, secret_hash bytea, role text, expires_at timestamptz,
                       revoked_at timestamptz, authz_version bigint, tenant_slug text, modules_off text[],
                       request_quota text)
        LANGUAGE sql STABLE SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp AS $$
            SELECT k.tenant_id, k.id, k.secret_hash, k.role, k.expires_at, k.revoked_at, t.authz_version, t.slug,
                   public.modules_off(t.id), t.request_quota
              FROM public.api_keys k JOIN public.tenants t ON t.id = k.tenant_id
             WHERE k.key_id = wanted
        $$
        """
    )
    for statement in give_function("identify_api_key(text)", SYSTEM, APP):
        op.execute(statement)
