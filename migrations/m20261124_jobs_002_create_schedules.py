"""Create schedules: jobs that are due again and again."""

from alembic import op

from rustok.db.rls import protect

revision = "m20261124_jobs_002"
down_revision = "m20261124_jobs_001"


def upgrade() -> None:
    op.execute(
        """
        CREATE TABLE schedules (
            tenant_id uuid NOT NULL REFERENCES tenants,
            id uuid NOT NULL,
            owner text NOT NULL,
            kind text NOT NULL,
            args jsonb NOT NULL,
            cron text NOT NULL,
            timezone text NOT NULL,
            due_at timestamptz NOT NULL,
            actor text NOT NULL,
            PRIMARY KEY (tenant_id, id)
        )
        """
    )
    op.execute("CREATE INDEX schedules_owner_idx ON schedules (tenant_id, owner)")
    op.execute("CREATE INDEX schedules_due_at_idx ON schedules (due_at)")
    for statement in protect("schedules", "SELECT, INSERT, DELETE"):
        op.execute(statement)
