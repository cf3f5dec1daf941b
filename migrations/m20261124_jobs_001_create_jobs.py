"""Create the ledger of jobs. The hot table has what is not done yet, and dead letters; history is apart.

Keys begin with the id: workers look jobs up by ids alone.
"""

from alembic import op

from rustok.db.rls import protect

revision = "m20261124_jobs_001"
down_revision = "m20261124_content_003"


def upgrade() -> None:
    op.execute(
        """
        CREATE TABLE jobs (
            tenant_id uuid NOT NULL REFERENCES tenants,
            id uuid NOT NULL,
            queue text NOT NULL,
            kind text NOT NULL,
            args jsonb NOT NULL,
            priority smallint NOT NULL,
            state text NOT NULL CHECK (state IN ('ready', 'leased', 'dead')),
            attempts integer NOT NULL DEFAULT 0 CHECK (attempts >= 0),
            max_attempts integer NOT NULL CHECK (max_attempts > 0),
            due_at timestamptz NOT NULL,
            lease_token uuid,
            lease_expires_at timestamptz,
            is_cancelled boolean NOT NULL DEFAULT false,
            dedup_key text,
            progress jsonb,
            error jsonb,
            actor text NOT NULL,
            correlation_id uuid NOT NULL,
            causation_id uuid,
            traceparent text,
            created_at timestamptz NOT NULL,
            PRIMARY KEY (id, tenant_id),
            CHECK ((state = 'leased') = (lease_token IS NOT NULL AND lease_expires_at IS NOT NULL))
        ) WITH (autovacuum_vacuum_scale_factor = 0.01, autovacuum_vacuum_threshold = 1000)
        """
    )
    op.execute(
        "CREATE INDEX jobs_ready_idx ON jobs (queue, tenant_id, priority DESC, due_at, id) WHERE state = 'ready'"
    )
    op.execute("CREATE INDEX jobs_leased_idx ON jobs (lease_expires_at) WHERE state = 'leased'")
    op.execute("CREATE INDEX jobs_dead_idx ON jobs (tenant_id, id) WHERE state = 'dead'")
    op.execute(
        """
        CREATE UNIQUE INDEX jobs_dedup_key ON jobs (tenant_id, kind, dedup_key)
         WHERE dedup_key IS NOT NULL AND state <> 'dead'
        """
    )
    op.execute(
        """
        CREATE TABLE finished_jobs (
            tenant_id uuid NOT NULL REFERENCES tenants,
            id uuid NOT NULL,
            queue text NOT NULL,
            kind text NOT NULL,
            args jsonb NOT NULL,
            outcome text NOT NULL CHECK (outcome IN ('done', 'cancelled')),
            attempts integer NOT NULL,
            progress jsonb,
            result jsonb,
            actor text NOT NULL,
            correlation_id uuid NOT NULL,
            causation_id uuid,
            created_at timestamptz NOT NULL,
            finished_at timestamptz NOT NULL,
            PRIMARY KEY (id, tenant_id)
        )
        """
    )
    op.execute("CREATE INDEX finished_jobs_finished_at_idx ON finished_jobs (finished_at)")
    for table, rights in (("jobs", "SELECT, INSERT, UPDATE, DELETE"), ("finished_jobs", "SELECT, INSERT")):
        for statement in protect(table, rights):
            op.execute(statement)
