"""Create scripts, their versions and what was compiled of them."""

from alembic import op

from rustok.db.rls import protect

revision = "m20261125_alloy_001"
down_revision = "m20261124_jobs_003"


def upgrade() -> None:
    op.execute(
        """
        CREATE TABLE scripts (
            tenant_id uuid NOT NULL REFERENCES tenants,
            id uuid NOT NULL,
            name text NOT NULL,
            description text NOT NULL,
            status text NOT NULL CHECK (status IN ('draft', 'active', 'paused', 'disabled')),
            status_reason text,
            triggers jsonb NOT NULL,
            listens boolean NOT NULL GENERATED ALWAYS AS (triggers @> '[{"kind": "event"}]') STORED,
            grants text[] NOT NULL,
            hosts text[] NOT NULL,
            secrets text[] NOT NULL,
            owner text NOT NULL,
            latest_version integer NOT NULL DEFAULT 0,
            active_version integer,
            canary_version integer,
            canary_percent smallint NOT NULL DEFAULT 0 CHECK (canary_percent BETWEEN 0 AND 100),
            failures integer NOT NULL DEFAULT 0,
            active_since timestamptz,
            version bigint NOT NULL,
            created_at timestamptz NOT NULL,
            updated_at timestamptz NOT NULL,
            CONSTRAINT scripts_name_key UNIQUE (tenant_id, name)
        )
        """
    )
    op.execute("CREATE INDEX scripts_listening_idx ON scripts (tenant_id) WHERE status = 'active' AND listens")
    # Last, since the checks of foreign keys take the newest of the indexes that cost the same on an empty table.
    op.execute("ALTER TABLE scripts ADD PRIMARY KEY (tenant_id, id)")
    op.execute(
        """
        CREATE TABLE script_versions (
            tenant_id uuid NOT NULL,
            script_id uuid NOT NULL,
            number integer NOT NULL,
            code text NOT NULL,
            sha256 text NOT NULL,
            author text NOT NULL,
            message text NOT NULL,
            state text NOT NULL CHECK (state IN ('checking', 'ready', 'rejected', 'disabled')),
            faults jsonb NOT NULL DEFAULT '[]',
            created_at timestamptz NOT NULL,
            PRIMARY KEY (tenant_id, script_id, number),
            FOREIGN KEY (tenant_id, script_id) REFERENCES scripts ON DELETE CASCADE
        )
        """
    )
    op.execute(
        """
        CREATE TABLE script_bytecode (
            tenant_id uuid NOT NULL REFERENCES tenants,
            sha256 text NOT NULL,
            policy_version text NOT NULL,
            magic text NOT NULL,
            bytecode bytea NOT NULL,
            created_at timestamptz NOT NULL,
            PRIMARY KEY (tenant_id, sha256, policy_version, magic)
        )
        """
    )
    for table in ("scripts", "script_versions", "script_bytecode"):
        for statement in protect(table, "SELECT, INSERT, UPDATE, DELETE"):
            op.execute(statement)
