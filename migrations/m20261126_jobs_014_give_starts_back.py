"""Create give_start_back: the start of a job that was leased and not begun goes back to the rates that counted it."""

from alembic import op

from rustok.db.rls import SYSTEM

revision = "m20261126_jobs_014"
down_revision = "m20261126_jobs_013"

_CONCERNED = """
    l.starts IS NOT NULL AND (l.queue IS NULL OR l.queue = of_queue) AND (l.kind IS NULL OR l.kind = of_kind)
    AND (l.tenant_id IS NULL OR l.tenant_id = of_tenant)
"""


def upgrade() -> None:
    # The limits are locked in the order of take_within_limits. Whoever reads a bucket cuts it at its burst.
    op.execute(
        f"""
        CREATE FUNCTION give_start_back(of_queue text, of_kind text, of_tenant uuid) RETURNS void
        LANGUAGE plpgsql VOLATILE AS $$
        BEGIN
            PERFORM FROM job_limits AS l WHERE {_CONCERNED} ORDER BY l.queue, l.kind, l.tenant_id FOR UPDATE;
            IF FOUND THEN
                UPDATE job_limits AS l SET tokens = l.tokens + 1 WHERE {_CONCERNED};
            END IF;
        END
        $$
        """
    )
    op.execute("REVOKE ALL ON FUNCTION give_start_back(text, text, uuid) FROM PUBLIC")
    op.execute(f"GRANT EXECUTE ON FUNCTION give_start_back(text, text, uuid) TO {SYSTEM}")
