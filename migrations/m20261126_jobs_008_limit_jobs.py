"""Create job_limits: how many jobs of a queue, kind or tenant run at a time, or begin in a while; weights of tenants.

A limit that has no room holds its jobs as a pause does. One that has some is asked once more by whoever leases, with
its row locked: workers that lease at the same time do not exceed it together. Without a limit nothing of this is done.
"""

from alembic import op

from rustok.db.rls import SYSTEM, protect

revision = "m20261126_jobs_008"
down_revision = "m20261126_jobs_007"

_CONCERNS = """
    (l.queue IS NULL OR l.queue = j.queue) AND (l.kind IS NULL OR l.kind = j.kind)
    AND (l.tenant_id IS NULL OR l.tenant_id = j.tenant_id)
"""
_IS_BOUND = "num_nonnulls(l.max_running, l.starts) > 0"
_TOKENS = "least(l.burst, l.tokens + extract(epoch FROM clock_timestamp() - l.filled_at) * l.starts / l.per_s)"

_TABLE = """
    CREATE TABLE job_limits (
        queue text,
        kind text,
        tenant_id uuid REFERENCES tenants ON DELETE CASCADE,
        max_running integer CHECK (max_running > 0),
        starts integer CHECK (starts > 0),
        per_s integer CHECK (per_s > 0),
        burst integer CHECK (burst > 0),
        tokens double precision,
        filled_at timestamptz,
        weight double precision CHECK (weight > 0),
        set_by text NOT NULL,
        set_at timestamptz NOT NULL DEFAULT now(),
        UNIQUE NULLS NOT DISTINCT (queue, kind, tenant_id),
        CHECK (num_nonnulls(queue, kind, tenant_id) > 0),
        CHECK (num_nonnulls(max_running, starts, weight) > 0),
        CHECK (num_nonnulls(starts, per_s, burst, tokens, filled_at) IN (0, 5)),
        CONSTRAINT job_limits_weight_of_tenant CHECK (weight IS NULL OR num_nonnulls(queue, kind) = 0)
    )
"""
# Here and below without seqscan: PostgreSQL takes the ledger for empty, and would read all of it. The leased jobs are
# counted once, not once a limit.
_ROOMS = f"""
    CREATE FUNCTION limit_rooms()
    RETURNS TABLE (queue text, kind text, tenant_id uuid, room double precision)
    LANGUAGE sql STABLE ROWS 10 SET enable_seqscan = off AS $$
        WITH running AS MATERIALIZED (
            SELECT queue, kind, tenant_id, count(*) AS jobs FROM jobs WHERE state = 'leased'
             GROUP BY queue, kind, tenant_id
        )
        SELECT l.queue, l.kind, l.tenant_id,
               least(l.max_running - (SELECT coalesce(sum(j.jobs), 0) FROM running AS j WHERE {_CONCERNS}),
                     floor({_TOKENS}))
          FROM job_limits AS l WHERE {_IS_BOUND}
    $$
"""
_HELD = f"""
    CREATE FUNCTION held_jobs() RETURNS TABLE (queue text, kind text, tenant_id uuid)
    LANGUAGE plpgsql STABLE ROWS 10 AS $$
    BEGIN
        RETURN QUERY SELECT p.queue, p.kind, p.tenant_id FROM job_pauses AS p;
        IF EXISTS (SELECT FROM job_limits AS l WHERE {_IS_BOUND}) THEN
            RETURN QUERY SELECT r.queue, r.kind, r.tenant_id FROM limit_rooms() AS r WHERE r.room < 1;
        END IF;
    END
    $$
"""
# An older release asks this before it leases.
_PAUSED_KINDS = """
    CREATE OR REPLACE FUNCTION paused_kinds(of_queue text, of_tenant uuid) RETURNS text[] LANGUAGE plpgsql STABLE AS $$
    BEGIN
        RETURN (SELECT CASE WHEN bool_or(kind IS NULL) THEN NULL ELSE coalesce(array_agg(kind), '{}') END
                  FROM held_jobs()
                 WHERE (queue IS NULL OR queue = of_queue) AND (tenant_id IS NULL OR tenant_id = of_tenant));
    END
    $$
"""
# The limits with the least room come first: what they refuse takes no room of others. OFFSET 0 has each job
# sought by its id: in a join, or by its state, PostgreSQL would read all of them.
_WITHIN = f"""
    CREATE FUNCTION within_limits(ids uuid[], hinted uuid[]) RETURNS uuid[]
    LANGUAGE plpgsql STABLE SET enable_seqscan = off AS $$
    DECLARE
        l record;
        allowed uuid[] := ids;
    BEGIN
        FOR l IN SELECT * FROM limit_rooms() ORDER BY room LOOP
            allowed := ARRAY(
                SELECT id FROM (
                    SELECT given.id, given.place, {_CONCERNS} AS is_limited,
                           row_number() OVER (PARTITION BY {_CONCERNS} ORDER BY given.place) AS number
                      FROM unnest(allowed) WITH ORDINALITY AS given (id, place)
                     CROSS JOIN LATERAL (
                           SELECT queue, kind, tenant_id FROM jobs WHERE id = given.id OFFSET 0) AS j) AS numbered
                 WHERE NOT is_limited OR number <= l.room - (
                       SELECT count(*) FROM unnest(hinted) AS given (id)
                        CROSS JOIN LATERAL (
                              SELECT queue, kind, tenant_id, state FROM jobs WHERE id = given.id OFFSET 0) AS j
                        WHERE j.state = 'ready' AND {_CONCERNS})
                 ORDER BY place);
        END LOOP;
        RETURN allowed;
    END
    $$
"""
# VOLATILE, so that what is counted after the locks was committed before them.
_TAKE = f"""
    CREATE FUNCTION take_within_limits(ids uuid[]) RETURNS uuid[]
    LANGUAGE plpgsql VOLATILE SET enable_seqscan = off AS $$
    DECLARE
        allowed uuid[];
    BEGIN
        PERFORM FROM job_limits AS l
          WHERE {_IS_BOUND}
            AND EXISTS (SELECT FROM (SELECT DISTINCT queue, kind, tenant_id FROM jobs WHERE id = ANY (ids)) AS j
                         WHERE {_CONCERNS})
          ORDER BY l.queue, l.kind, l.tenant_id FOR UPDATE OF l;
        IF NOT FOUND THEN
            RETURN ids;
        END IF;
        allowed := within_limits(ids, '{{}}');
        UPDATE job_limits AS l
           SET tokens = {_TOKENS} - (SELECT count(*) FROM jobs AS j WHERE j.id = ANY (allowed) AND {_CONCERNS}),
               filled_at = clock_timestamp()
         WHERE l.starts IS NOT NULL
           AND EXISTS (SELECT FROM jobs AS j WHERE j.id = ANY (allowed) AND {_CONCERNS});
        RETURN allowed;
    END
    $$
"""
# As ready_jobs was, and says whose the jobs are. The tenants that have something ready are found by hopping over the
# index, so that ten thousand jobs of one of them cost the others nothing; each then gives its first few.
_IN_TURNS = f"""
    CREATE FUNCTION jobs_in_turns(wanted_queue text, except_ids uuid[], most integer, most_a_tenant integer)
    RETURNS TABLE (id uuid, tenant_id uuid)
    LANGUAGE plpgsql STABLE ROWS 100 SET enable_sort = off AS $$
    DECLARE
        is_limited boolean := EXISTS (SELECT FROM job_limits AS l WHERE {_IS_BOUND});
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
        ), held AS MATERIALIZED (
            SELECT h.kind, h.tenant_id FROM held_jobs() AS h WHERE h.queue IS NULL OR h.queue = wanted_queue
        ), served AS MATERIALIZED (
            SELECT tenant.tenant_id,
                   (SELECT CASE WHEN bool_or(h.kind IS NULL) THEN NULL ELSE coalesce(array_agg(h.kind), '{{}}') END
                      FROM held AS h WHERE h.tenant_id IS NULL OR h.tenant_id = tenant.tenant_id) AS held_kinds
              FROM tenant
             WHERE (SELECT t.is_active FROM tenants AS t WHERE t.id = tenant.tenant_id)
        ), found AS MATERIALIZED (
            SELECT job.id, served.tenant_id, job.due_at,
                   row_number() OVER (PARTITION BY served.tenant_id
                                          ORDER BY job.priority DESC, job.due_at, job.id) AS turn
              FROM served
             CROSS JOIN LATERAL (
                   SELECT j.id, j.priority, j.due_at FROM jobs AS j
                    WHERE j.queue = wanted_queue AND j.state = 'ready' AND j.tenant_id = served.tenant_id
                      AND j.due_at <= now() AND j.id <> ALL (except_ids) AND j.kind <> ALL (served.held_kinds)
                    ORDER BY j.priority DESC, j.due_at, j.id LIMIT least(most, most_a_tenant)) AS job
             WHERE served.held_kinds IS NOT NULL
             ORDER BY turn, job.due_at LIMIT most
        )
        SELECT f.id, f.tenant_id FROM found AS f
         WHERE NOT is_limited
            OR f.id = ANY (CAST((SELECT within_limits(ARRAY(SELECT g.id FROM found AS g ORDER BY g.turn, g.due_at),
                                                      except_ids)) AS uuid[]))
         ORDER BY f.turn, f.due_at;
    END
    $$
"""
_READY = """
    CREATE OR REPLACE FUNCTION ready_jobs(wanted_queue text, except_ids uuid[], most integer) RETURNS SETOF uuid
    LANGUAGE sql STABLE ROWS 100 AS $$ SELECT id FROM jobs_in_turns(wanted_queue, except_ids, most, most) $$
"""
_STANDINGS = """
    CREATE FUNCTION tenant_standings(of_queue text)
    RETURNS TABLE (tenant_id uuid, leased bigint, weight double precision)
    LANGUAGE sql STABLE ROWS 100 SET enable_seqscan = off AS $$
        SELECT tenant_id, sum(leased)::bigint, coalesce(max(weight), 1)
          FROM (SELECT tenant_id, 1 AS leased, NULL AS weight FROM jobs
                 WHERE queue = of_queue AND state = 'leased' AND lease_expires_at > now()
                 UNION ALL
                SELECT tenant_id, 0, weight FROM job_limits WHERE weight IS NOT NULL) AS told
         GROUP BY tenant_id
    $$
"""
_GIVEN = (
    "tenant_standings(text)",
    "limit_rooms()",
    "held_jobs()",
    "within_limits(uuid[], uuid[])",
    "take_within_limits(uuid[])",
    "jobs_in_turns(text, uuid[], integer, integer)",
)


def upgrade() -> None:
    op.execute(_TABLE)
    op.execute("ALTER TABLE job_limits REPLICA IDENTITY FULL")  # it has no primary key: any column may be missing
    for statement in protect("job_limits", "SELECT"):
        op.execute(statement)
    for function in (_ROOMS, _HELD, _PAUSED_KINDS, _WITHIN, _TAKE, _IN_TURNS, _READY, _STANDINGS):
        op.execute(function)
    for signature in _GIVEN:
        op.execute(f"REVOKE ALL ON FUNCTION {signature} FROM PUBLIC")
        op.execute(f"GRANT EXECUTE ON FUNCTION {signature} TO {SYSTEM}")
