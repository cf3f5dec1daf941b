"""Create the list of worker processes, each with what it last said of itself. It belongs to no tenant."""

from alembic import op

from rustok.db.rls import APP, SYSTEM

revision = "m20261125_jobs_004"
down_revision = "m20261125_alloy_003"


def upgrade() -> None:
    op.execute(
        """
        CREATE TABLE workers (
            id uuid PRIMARY KEY,
            host text NOT NULL,
            pid integer NOT NULL,
            release text NOT NULL,
            rss_bytes bigint NOT NULL,
            cpu_s double precision NOT NULL,
            sandbox jsonb NOT NULL,
            started_at timestamptz NOT NULL,
            seen_at timestamptz NOT NULL
        )
        """
    )
    op.execute(f"GRANT SELECT ON workers TO {APP}")
    op.execute(f"GRANT SELECT, INSERT, UPDATE, DELETE ON workers TO {SYSTEM}")
