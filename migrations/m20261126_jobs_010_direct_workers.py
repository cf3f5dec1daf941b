"""Let operators direct workers, and workers tell more of themselves: what they do, and whether they are quiet.

Workers of the release before insert rows without these columns, and no wish reaches them.
"""

from alembic import op

revision = "m20261126_jobs_010"
down_revision = "m20261126_jobs_009"


def upgrade() -> None:
    op.execute(
        """
        ALTER TABLE workers
            ADD COLUMN cpu_share double precision NOT NULL DEFAULT 0,
            ADD COLUMN jobs_in_hand integer NOT NULL DEFAULT 0,
            ADD COLUMN is_quiet boolean NOT NULL DEFAULT false,
            ADD COLUMN wish text CHECK (wish IN ('quiet', 'stop'))
        """
    )
    op.execute("COMMENT ON COLUMN workers.wish IS 'what an operator wants of it; NULL: that it works'")
