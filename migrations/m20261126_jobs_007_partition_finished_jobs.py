"""Keep finished jobs in partitions of a week, by the time that their ids begin with, so that old weeks are dropped.

The table of before becomes the partition of everything else, as it is: no row is copied.
"""

from alembic import op

from rustok.db.rls import APP, protect

revision = "m20261126_jobs_007"
down_revision = "m20261126_outbox_008"

LOCK = 7_310_579_630  # any constant: relays take turns

FUNCTIONS = ("extend_finished_jobs()", "shorten_finished_jobs(interval)")


def upgrade() -> None:
    op.execute("ALTER TABLE finished_jobs RENAME TO finished_jobs_default")
    op.execute("ALTER INDEX finished_jobs_pkey RENAME TO finished_jobs_default_pkey")
    op.execute("ALTER INDEX finished_jobs_finished_at_idx RENAME TO finished_jobs_default_finished_at_idx")
    op.execute(f"REVOKE ALL ON finished_jobs_default FROM {APP}")
    # Its rows come from jobs, which reference tenants. A new partition would lock tenants to check that again.
    op.execute("ALTER TABLE finished_jobs_default DROP CONSTRAINT finished_jobs_tenant_id_fkey")
    # The fence is the parent's. The owner moves rows out of this one, and the system deletes old ones.
    for policy in ("tenant", "every_tenant"):
        op.execute(f"DROP POLICY {policy} ON finished_jobs_default")
    op.execute("ALTER TABLE finished_jobs_default NO FORCE ROW LEVEL SECURITY, DISABLE ROW LEVEL SECURITY")
    op.execute(
        """
        CREATE TABLE finished_jobs (LIKE finished_jobs_default INCLUDING DEFAULTS INCLUDING CONSTRAINTS,
                                    PRIMARY KEY (id, tenant_id))
            PARTITION BY RANGE (id)
        """
    )
    op.execute("CREATE INDEX finished_jobs_finished_at_idx ON finished_jobs (finished_at)")
    for statement in protect("finished_jobs", "SELECT, INSERT"):
        op.execute(statement)
    # Only weeks to come: none of their jobs has ended yet, but an id that does not begin with a time may be among
    # them by chance. ATTACH reads the whole default partition, which is small but for the weeks after this migration.
    op.execute(
        f"""
        CREATE FUNCTION extend_finished_jobs() RETURNS integer
        LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp SET timezone = 'UTC' AS $$
        DECLARE
            made integer := 0;
            week timestamptz;
            partition text;
            first_id uuid;
            past_id uuid;
        BEGIN
            PERFORM pg_advisory_xact_lock({LOCK});
            SET LOCAL lock_timeout = '200ms';
            FOR ahead IN 1..3 LOOP
                week := date_trunc('week', now()) + make_interval(weeks => ahead);
                partition := to_char(week, '"finished_jobs_"IYYY"w"IW');
                CONTINUE WHEN to_regclass(partition) IS NOT NULL;
                first_id := rpad(lpad(to_hex((extract(epoch FROM week) * 1000)::bigint), 12, '0'), 32, '0');
                past_id := rpad(lpad(to_hex((extract(epoch FROM week + interval '1 week') * 1000)::bigint), 12, '0'),
                                32, '0');
                EXECUTE format('CREATE TABLE public.%I (LIKE public.finished_jobs '
                               'INCLUDING DEFAULTS INCLUDING CONSTRAINTS)', partition);
                LOCK TABLE public.finished_jobs_default IN ACCESS EXCLUSIVE MODE;
                EXECUTE format('WITH moved AS (DELETE FROM public.finished_jobs_default '
                               'WHERE id >= %L AND id < %L RETURNING *) INSERT INTO public.%I SELECT * FROM moved',
                               first_id, past_id, partition);
                EXECUTE format('ALTER TABLE public.finished_jobs ATTACH PARTITION public.%I '
                               'FOR VALUES FROM (%L) TO (%L)', partition, first_id, past_id);
                made := made + 1;
            END LOOP;
            RETURN made;
        EXCEPTION WHEN lock_not_available THEN
            RETURN 0;
        END $$
        """
    )
    # It looks twice: whoever has just ended an old job has its lock, and may commit while this waits for it.
    op.execute(
        f"""
        CREATE FUNCTION shorten_finished_jobs(kept interval) RETURNS boolean
        LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp SET timezone = 'UTC' AS $$
        DECLARE
            partition regclass;
            look text;
            is_over boolean;
        BEGIN
            PERFORM pg_advisory_xact_lock({LOCK});
            SET LOCAL lock_timeout = '200ms';
            FOR partition IN
                SELECT inhrelid::regclass
                  FROM pg_inherits JOIN pg_class ON oid = inhrelid
                 WHERE inhparent = 'public.finished_jobs'::regclass AND relname <> 'finished_jobs_default'
                   AND to_date(right(relname, 7), 'IYYY"w"IW') + interval '1 week' <= now() - kept
                 ORDER BY relname
            LOOP
                look := format('SELECT NOT EXISTS (SELECT FROM %s WHERE finished_at >= $1)', partition);
                EXECUTE look INTO is_over USING now() - kept;
                CONTINUE WHEN NOT is_over;
                LOCK TABLE public.finished_jobs IN ACCESS EXCLUSIVE MODE;
                EXECUTE look INTO is_over USING now() - kept;
                CONTINUE WHEN NOT is_over;
                EXECUTE format('DROP TABLE %s', partition);
                RETURN true;
            END LOOP;
            RETURN false;
        EXCEPTION WHEN lock_not_available THEN
            RETURN false;
        END $$
        """
    )
    for signature in FUNCTIONS:
        op.execute(f"REVOKE ALL ON FUNCTION {signature} FROM PUBLIC")
        op.execute(f"GRANT EXECUTE ON FUNCTION {signature} TO rustok_system")
    op.execute("SELECT extend_finished_jobs()")
    op.execute("ALTER TABLE finished_jobs ATTACH PARTITION finished_jobs_default DEFAULT")  # last: it is read once
