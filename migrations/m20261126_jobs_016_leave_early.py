"""Let look_for_jobs leave early where nothing is ready: most looks are such, and took three times as long as they need.

Jobs that are committed between the two statements of a look, and are due before others of their lane, are found by the
next look: what it brings along is from before both.
"""

from alembic import op

revision = "m20261126_jobs_016"
down_revision = "m20261126_jobs_015"

_STARTED_AT = "greatest(pg_postmaster_start_time(), pg_stat_get_bgwriter_stat_reset_time())"
# As in jobs_013, but for the end.
_LOOK = f"""
    CREATE OR REPLACE FUNCTION look_for_jobs(
        of_queue text, except_ids uuid[], most integer, most_a_tenant integer, known job_view,
        OUT ids uuid[], OUT tenant_ids uuid[], OUT seen job_view)
    LANGUAGE plpgsql VOLATILE AS $$
    DECLARE
        ready job_lane[];
    BEGIN
        seen := known;
        -- Another server, or one that crashed or was restored, may have lost leases, and jobs in the past are ready
        -- again. So they may be when its clock was set back; and a standby does not know who writes.
        IF seen.server_started_at IS DISTINCT FROM {_STARTED_AT} OR seen.looked_at > clock_timestamp()
           OR seen.begun_at < clock_timestamp() - interval '10 minutes' OR pg_is_in_recovery() THEN
            seen := ({_STARTED_AT}, clock_timestamp(), NULL, '-infinity', '{{}}', NULL, '{{}}', '-infinity')::job_view;
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
        ready := ready_job_lanes(of_queue, seen.lanes, seen.since, now());
        IF cardinality(ready) = 0 THEN
            ids := '{{}}';
            tenant_ids := '{{}}';
            RETURN;
        END IF;
        SELECT coalesce(array_agg(j.id ORDER BY j.place), '{{}}'),
               coalesce(array_agg(j.tenant_id ORDER BY j.place), '{{}}')
          INTO ids, tenant_ids
          FROM jobs_in_lanes(of_queue, ready, except_ids, most, most_a_tenant)
               WITH ORDINALITY AS j (id, tenant_id, place);
    END
    $$
"""


def upgrade() -> None:
    op.execute(_LOOK)
