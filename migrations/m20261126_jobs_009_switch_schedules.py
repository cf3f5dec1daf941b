"""Let schedules say what becomes of missed moments, and let operators switch them off.

Owners write their schedules anew, so what an operator has switched off is kept apart, by what the owner wrote.
"""

from alembic import op

from rustok.db.rls import protect

revision = "m20261126_jobs_009"
down_revision = "m20261126_jobs_008"


def upgrade() -> None:
    op.execute(
        """
        ALTER TABLE schedules
            ADD COLUMN missed text NOT NULL DEFAULT 'latest' CHECK (missed IN ('latest', 'all', 'skip')),
            ADD COLUMN last_due_at timestamptz
        """
    )
    op.execute(
        """
        CREATE TABLE disabled_schedules (
            tenant_id uuid NOT NULL REFERENCES tenants ON DELETE CASCADE,
            owner text NOT NULL,
            kind text NOT NULL,
            cron text NOT NULL,
            timezone text NOT NULL,
            reason text,
            disabled_by text NOT NULL,
            disabled_at timestamptz NOT NULL DEFAULT now(),
            PRIMARY KEY (tenant_id, owner, kind, cron, timezone)
        )
        """
    )
    for statement in protect("disabled_schedules", "SELECT"):
        op.execute(statement)
