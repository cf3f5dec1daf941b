"""Let within_limits go through the limits that concern its jobs alone, and buckets outlive a clock that was set back.

A thousand limits of other tenants made each lease read its jobs a thousand times. And a bucket that was filled "later"
than now was emptied by as much, so that nothing began until the clock had come so far.
"""

from alembic import op

revision = "m20261126_jobs_018"
down_revision = "m20261126_jobs_017"

_CONCERNS = """
    (l.queue IS NULL OR l.queue = j.queue) AND (l.kind IS NULL OR l.kind = j.kind)
    AND (l.tenant_id IS NULL OR l.tenant_id = j.tenant_id)
"""
_CONCERNED = _CONCERNS.replace("l.", "r.")
_IS_BOUND = "num_nonnulls(l.max_running, l.starts) > 0"
_PASSED_S = "greatest(0, extract(epoch FROM clock_timestamp() - l.filled_at))"
_TOKENS = f"least(l.burst, l.tokens + {_PASSED_S} * l.starts / l.per_s)"
# As in jobs_013, but for the tokens.
_ROOMS = f"""
    CREATE OR REPLACE FUNCTION limit_rooms()
    RETURNS TABLE (queue text, kind text, tenant_id uuid, room double precision)
    LANGUAGE sql STABLE ROWS 10 SET enable_seqscan = off AS $$
        WITH running AS MATERIALIZED (
            SELECT queue, kind, tenant_id, count(*) AS jobs FROM jobs
             WHERE state = 'leased' AND lease_expires_at > now() - interval '10 seconds'
             GROUP BY queue, kind, tenant_id
        )
        SELECT l.queue, l.kind, l.tenant_id,
               least(l.max_running - (SELECT coalesce(sum(j.jobs), 0) FROM running AS j WHERE {_CONCERNS}),
                     floor({_TOKENS}))
          FROM job_limits AS l WHERE {_IS_BOUND}
    $$
"""
# As in jobs_008, but for what is asked.
_WITHIN = f"""
    CREATE OR REPLACE FUNCTION within_limits(ids uuid[], hinted uuid[]) RETURNS uuid[]
    LANGUAGE plpgsql STABLE SET enable_seqscan = off AS $$
    DECLARE
        l record;
        allowed uuid[] := ids;
    BEGIN
        FOR l IN
            WITH asked AS MATERIALIZED (
                SELECT DISTINCT j.queue, j.kind, j.tenant_id
                  FROM unnest(ids) AS given (id)
                 CROSS JOIN LATERAL (SELECT queue, kind, tenant_id FROM jobs WHERE id = given.id OFFSET 0) AS j
            )
            SELECT * FROM limit_rooms() AS r WHERE EXISTS (SELECT FROM asked AS j WHERE {_CONCERNED}) ORDER BY r.room
        LOOP
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
# As in jobs_008, but for the tokens.
_TAKE = f"""
    CREATE OR REPLACE FUNCTION take_within_limits(ids uuid[]) RETURNS uuid[]
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


def upgrade() -> None:
    for function in (_ROOMS, _WITHIN, _TAKE):
        op.execute(function)
