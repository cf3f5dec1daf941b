"""Create the log of runs: an attempt at one, with what it used, said, wanted and why it failed, is a row for good."""

from alembic import op

from rustok.db.rls import protect

revision = "m20261125_alloy_002"
down_revision = "m20261125_alloy_001"


def upgrade() -> None:
    op.execute(
        """
        CREATE TABLE script_attempts (
            tenant_id uuid NOT NULL REFERENCES tenants,
            id uuid NOT NULL,
            run_id uuid NOT NULL,
            attempt integer NOT NULL,
            script_id uuid NOT NULL,
            script_version integer,
            event_type text NOT NULL,
            event_id uuid NOT NULL,
            depth smallint NOT NULL,
            outcome text NOT NULL,
            result jsonb,
            error jsonb,
            effects jsonb NOT NULL,
            logs jsonb NOT NULL,
            usage jsonb NOT NULL,
            correlation_id uuid NOT NULL,
            started_at timestamptz NOT NULL,
            finished_at timestamptz NOT NULL,
            PRIMARY KEY (tenant_id, id)
        )
        """
    )
    op.execute("CREATE INDEX script_attempts_script_idx ON script_attempts (tenant_id, script_id, id)")
    op.execute("CREATE INDEX script_attempts_run_idx ON script_attempts (tenant_id, run_id)")
    op.execute("CREATE INDEX script_attempts_finished_at_idx ON script_attempts (finished_at)")
    for statement in protect("script_attempts", "SELECT, INSERT"):
        op.execute(statement)
