"""Create look_for_jobs: it finds what is ready without walking over what was, however long that cannot be cleaned up.

While somebody keeps an old snapshot, each job that was leased leaves an entry in the index of ready jobs. So whoever
looks brings along what it has seen: up to which moment there is nothing new, and in which lanes, a tenant and a
priority each, something older still waits. docs/decisions/0026 says why nothing is missed.
"""

from alembic import op

from rustok.db.rls import SYSTEM

revision = "m20261126_jobs_013"
down_revision = "m20261126_jobs_012"

_FEW = 1000
"""Of more than so many new jobs, lanes are found by hopping over the index."""
_FOR = "10 minutes"
"""How long a view is used: whatever it should have missed for a reason that nobody has thought of is found then."""

_DUE_FROM_NOW = """
    CREATE FUNCTION due_from_now() RETURNS trigger LANGUAGE plpgsql AS $$
    BEGIN
        NEW.due_at := greatest(NEW.due_at, clock_timestamp());
        RETURN NEW;
    END
    $$
"""
_TRIGGER = """
    CREATE TRIGGER jobs_due_from_now BEFORE INSERT OR UPDATE OF state, due_at ON jobs
       FOR EACH ROW WHEN (NEW.state = 'ready') EXECUTE FUNCTION due_from_now()
"""
_LANE = "CREATE TYPE job_lane AS (tenant_id uuid, priority smallint, since timestamptz)"
_VIEW = """
    CREATE TYPE job_view AS (
        server_started_at timestamptz,
        begun_at timestamptz,
        looked_at timestamptz,
        since timestamptz,
        lanes job_lane[],
        next_since timestamptz,
        next_since_writers text[],
        next_since_tried_at timestamptz
    )
"""
_WRITERS = """
    CREATE FUNCTION job_writers() RETURNS text[] LANGUAGE sql VOLATILE AS $$
        SELECT coalesce(array_agg(virtualtransaction), '{}')
          FROM pg_locks
         WHERE locktype = 'relation' AND mode = 'RowExclusiveLock' AND relation = 'jobs'::regclass
           AND database = (SELECT oid FROM pg_database WHERE datname = current_database())
    $$
"""
# Here and below without sorts, and so by the index that has the order: PostgreSQL, which believes that the ledger is
# empty, would take any.
_UNSORTED = "SET enable_seqscan = off SET enable_sort = off SET enable_incremental_sort = off"
_IN_QUEUE = "j.queue = of_queue AND j.state = 'ready' AND j.lease_token IS NULL"
_ALL_LANES = f"""
    CREATE FUNCTION all_job_lanes(of_queue text) RETURNS SETOF job_lane LANGUAGE plpgsql STABLE {_UNSORTED} AS $$
    BEGIN
        RETURN QUERY
        WITH RECURSIVE lane AS (
            (SELECT j.tenant_id, j.priority, j.due_at FROM jobs AS j WHERE {_IN_QUEUE}
              ORDER BY j.tenant_id, j.priority DESC, j.due_at LIMIT 1)
            UNION ALL
            SELECT next.*
              FROM lane
             CROSS JOIN LATERAL (
                   (SELECT j.tenant_id, j.priority, j.due_at FROM jobs AS j
                     WHERE {_IN_QUEUE} AND j.tenant_id = lane.tenant_id AND j.priority < lane.priority
                     ORDER BY j.priority DESC, j.due_at LIMIT 1)
                   UNION ALL
                   (SELECT j.tenant_id, j.priority, j.due_at FROM jobs AS j
                     WHERE {_IN_QUEUE} AND j.tenant_id > lane.tenant_id
                     ORDER BY j.tenant_id, j.priority DESC, j.due_at LIMIT 1)
                   LIMIT 1) AS next
        )
        SELECT * FROM lane;
    END
    $$
"""
_READY_LANES = f"""
    CREATE FUNCTION ready_job_lanes(of_queue text, known job_lane[], due_since timestamptz, due_before timestamptz)
    RETURNS job_lane[] LANGUAGE plpgsql STABLE {_UNSORTED} AS $$
    DECLARE
        fresh job_lane[] := ARRAY(
            SELECT (j.tenant_id, j.priority, j.due_at)::job_lane FROM jobs AS j
             WHERE {_IN_QUEUE} AND j.due_at >= due_since AND j.due_at < due_before
             ORDER BY j.due_at LIMIT {_FEW} + 1);
    BEGIN
        IF cardinality(fresh) > {_FEW} THEN
            fresh := ARRAY(SELECT lane FROM all_job_lanes(of_queue) AS lane);
        END IF;
        RETURN ARRAY(SELECT (tenant_id, priority, min(since))::job_lane
                       FROM unnest(known || fresh) GROUP BY tenant_id, priority);
    END
    $$
"""
_STILL_READY = f"""
    CREATE FUNCTION still_ready_job_lanes(of_queue text, lanes job_lane[], due_before timestamptz)
    RETURNS job_lane[] LANGUAGE plpgsql STABLE {_UNSORTED} AS $$
    BEGIN
        RETURN ARRAY(
            SELECT (lane.tenant_id, lane.priority, first.due_at)::job_lane
              FROM unnest(lanes) AS lane
             CROSS JOIN LATERAL (
                   SELECT j.due_at FROM jobs AS j
                    WHERE {_IN_QUEUE} AND j.tenant_id = lane.tenant_id AND j.priority = lane.priority
                      AND j.due_at >= lane.since AND j.due_at < due_before
                    ORDER BY j.due_at, j.id LIMIT 1) AS first);
    END
    $$
"""
# As jobs_in_turns was, of these lanes. Each gives its first few.
_IN_LANES = f"""
    CREATE FUNCTION jobs_in_lanes(of_queue text, lanes job_lane[], except_ids uuid[], most integer,
                                  most_a_tenant integer)
    RETURNS TABLE (id uuid, tenant_id uuid) LANGUAGE plpgsql STABLE ROWS 100 {_UNSORTED} AS $$
    DECLARE
        is_limited boolean := EXISTS (SELECT FROM job_limits AS l WHERE num_nonnulls(l.max_running, l.starts) > 0);
    BEGIN
        RETURN QUERY
        WITH held AS MATERIALIZED (
            SELECT h.kind, h.tenant_id FROM held_jobs() AS h WHERE h.queue IS NULL OR h.queue = of_queue
        ), served AS MATERIALIZED (
            SELECT lane.*,
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
                      AND j.due_at >= served.since AND j.due_at <= now()
                      AND j.id <> ALL (except_ids) AND j.kind <> ALL (served.held_kinds)
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
# Older releases ask so, and see all lanes each time.
_IN_TURNS = """
    CREATE OR REPLACE FUNCTION jobs_in_turns(wanted_queue text, except_ids uuid[], most integer, most_a_tenant integer)
    RETURNS TABLE (id uuid, tenant_id uuid) LANGUAGE sql STABLE ROWS 100 AS $$
        SELECT id, tenant_id
          FROM jobs_in_lanes(wanted_queue, ARRAY(SELECT lane FROM all_job_lanes(wanted_queue) AS lane), except_ids,
                             most, most_a_tenant)
    $$
"""
# A server that recovers from the crash of one of its processes goes on, and has its statistics reset.
STARTED_AT = "greatest(pg_postmaster_start_time(), pg_stat_get_bgwriter_stat_reset_time())"
# VOLATILE, so that lanes are looked for with a snapshot from after the look at the writers.
_LOOK = f"""
    CREATE FUNCTION look_for_jobs(of_queue text, except_ids uuid[], most integer, most_a_tenant integer,
                                  known job_view, OUT ids uuid[], OUT tenant_ids uuid[], OUT seen job_view)
    LANGUAGE plpgsql VOLATILE AS $$
    BEGIN
        seen := known;
        -- Another server, or one that crashed or was restored, may have lost leases, and jobs in the past are ready
        -- again. So they may be when its clock was set back; and a standby does not know who writes.
        IF seen.server_started_at IS DISTINCT FROM {STARTED_AT} OR seen.looked_at > clock_timestamp()
           OR seen.begun_at < clock_timestamp() - interval '{_FOR}' OR pg_is_in_recovery() THEN
            seen := ({STARTED_AT}, clock_timestamp(), NULL, '-infinity', '{{}}', NULL, '{{}}', '-infinity')::job_view;
        END IF;
        seen.looked_at := clock_timestamp();
        IF seen.next_since_tried_at <= seen.looked_at - interval '250 ms' THEN
            IF seen.next_since IS NOT NULL AND NOT seen.next_since_writers && job_writers() THEN
                seen.lanes := still_ready_job_lanes(
                    of_queue, ready_job_lanes(of_queue, seen.lanes, seen.since, seen.next_since), seen.next_since);
                seen.since := seen.next_since;
                seen.next_since := NULL;
            END IF;
            IF seen.next_since IS NULL THEN
                seen.next_since := clock_timestamp();
                seen.next_since_writers := job_writers();
            END IF;
            seen.next_since_tried_at := seen.looked_at;
        END IF;
        SELECT coalesce(array_agg(j.id ORDER BY j.place), '{{}}'),
               coalesce(array_agg(j.tenant_id ORDER BY j.place), '{{}}')
          INTO ids, tenant_ids
          FROM jobs_in_lanes(of_queue, ready_job_lanes(of_queue, seen.lanes, seen.since, now()), except_ids,
                             most, most_a_tenant)
               WITH ORDINALITY AS j (id, tenant_id, place);
    END
    $$
"""
# As it was, but for leases that ran out long ago: the rescue has taken them back, and only dead entries are left.
_ROOMS = """
    CREATE OR REPLACE FUNCTION limit_rooms()
    RETURNS TABLE (queue text, kind text, tenant_id uuid, room double precision)
    LANGUAGE sql STABLE ROWS 10 SET enable_seqscan = off AS $$
        WITH running AS MATERIALIZED (
            SELECT queue, kind, tenant_id, count(*) AS jobs FROM jobs
             WHERE state = 'leased' AND lease_expires_at > now() - interval '10 seconds'
             GROUP BY queue, kind, tenant_id
        )
        SELECT l.queue, l.kind, l.tenant_id,
               least(l.max_running - (SELECT coalesce(sum(j.jobs), 0) FROM running AS j
                                       WHERE (l.queue IS NULL OR l.queue = j.queue)
                                         AND (l.kind IS NULL OR l.kind = j.kind)
                                         AND (l.tenant_id IS NULL OR l.tenant_id = j.tenant_id)),
                     floor(least(l.burst, l.tokens + extract(epoch FROM clock_timestamp() - l.filled_at)
                                                     * l.starts / l.per_s)))
          FROM job_limits AS l WHERE num_nonnulls(l.max_running, l.starts) > 0
    $$
"""
_GIVEN = (
    "job_writers()",
    "all_job_lanes(text)",
    "ready_job_lanes(text, job_lane[], timestamptz, timestamptz)",
    "still_ready_job_lanes(text, job_lane[], timestamptz)",
    "jobs_in_lanes(text, job_lane[], uuid[], integer, integer)",
    "look_for_jobs(text, uuid[], integer, integer, job_view)",
)


def upgrade() -> None:
    # No ready job has a token. Statements that do not say so, as those that lease by ids, leave these indexes alone,
    # where they would read all that is ready, and all that was.
    op.execute("DROP INDEX jobs_ready_idx")
    op.execute(
        """
        CREATE INDEX jobs_ready_idx ON jobs (queue, tenant_id, priority DESC, due_at, id)
         WHERE state = 'ready' AND lease_token IS NULL
        """
    )
    op.execute("CREATE INDEX jobs_due_idx ON jobs (queue, due_at) WHERE state = 'ready' AND lease_token IS NULL")
    for statement in (_DUE_FROM_NOW, _TRIGGER, _LANE, _VIEW):
        op.execute(statement)
    for function in (_WRITERS, _ALL_LANES, _READY_LANES, _STILL_READY, _IN_LANES, _IN_TURNS, _LOOK, _ROOMS):
        op.execute(function)
    for signature in _GIVEN:
        op.execute(f"REVOKE ALL ON FUNCTION {signature} FROM PUBLIC")
        op.execute(f"GRANT EXECUTE ON FUNCTION {signature} TO {SYSTEM}")
