"""Create dead_letters: what was given up, or waits for another release, of both sorts; and error_fingerprint."""

from alembic import op

from rustok.db.rls import APP, SYSTEM, give_function

revision = "m20261126_jobs_012"
down_revision = "m20261126_jobs_011"

# What differs between two failures of one cause: quoted texts, and words with a digit in them, which are numbers,
# UUIDs, hashes, SKUs. An apostrophe is no quote.
VARIABLE = r"""\"[^"]*"|[a-z]'(t|s|d|m|re|ve|ll)\M|'[^']*'|`[^`]*`|[[:alnum:]-]*[0-9][[:alnum:]-]*"""


def upgrade() -> None:
    # md5 is no secret here: it only makes a long text short, and the same in every release of PostgreSQL.
    op.execute(
        f"""
        CREATE FUNCTION error_fingerprint(what text, error text) RETURNS text
            LANGUAGE sql IMMUTABLE PARALLEL SAFE AS $$
            SELECT left(md5(concat(what, ' ', regexp_replace(error COLLATE "C", $re${VARIABLE}$re$, '?', 'g'))), 12)
        $$
        """
    )
    op.execute("REVOKE ALL ON FUNCTION error_fingerprint(text, text) FROM PUBLIC")
    op.execute(f"GRANT EXECUTE ON FUNCTION error_fingerprint(text, text) TO {APP}, {SYSTEM}")
    # Its reader's rights and row level security apply, not its owner's. A branch a partial index.
    op.execute(
        """
        CREATE VIEW dead_letters WITH (security_invoker) AS
        SELECT tenant_id, consumer AS what, aggregate_id AS id, state, attempts, error,
               CASE state WHEN 'retrying' THEN parked_at ELSE due_at END AS since
          FROM parked_aggregates
         UNION ALL
        SELECT tenant_id, kind, id, state, attempts, concat_ws(': ', error ->> 'code', error ->> 'message'), due_at
          FROM jobs WHERE state = 'dead'
         UNION ALL
        SELECT tenant_id, kind, id, state, attempts, 'This release knows no such jobs.', due_at
          FROM jobs WHERE state = 'needs_version'
        """
    )
    op.execute(f"GRANT SELECT ON dead_letters TO {APP}, {SYSTEM}")
    op.execute(
        """
        ALTER TABLE finished_jobs DROP CONSTRAINT finished_jobs_outcome_check,
            ADD CONSTRAINT finished_jobs_outcome_check CHECK (outcome IN ('done', 'cancelled', 'discarded')) NOT VALID
        """
    )
    op.execute(
        """
        CREATE FUNCTION needs_version_figures() RETURNS TABLE (what text, waiting bigint)
        LANGUAGE sql STABLE SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp AS $$
            SELECT what, count(*)
              FROM (SELECT consumer FROM parked_aggregates WHERE state = 'needs_version'
                     UNION ALL
                    SELECT kind FROM jobs WHERE state = 'needs_version') AS n (what)
             GROUP BY what ORDER BY what
        $$
        """
    )
    for statement in give_function("needs_version_figures()", SYSTEM, f"{APP}, {SYSTEM}"):
        op.execute(statement)
