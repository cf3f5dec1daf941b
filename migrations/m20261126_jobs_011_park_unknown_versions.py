"""Let work wait for a release that knows it: an event's type and version, or a kind of job.

The release before this one parks no such work. It takes up nothing that is parked so, since it asks for other states.
"""

from alembic import op

revision = "m20261126_jobs_011"
down_revision = "m20261126_jobs_010"


def upgrade() -> None:
    # NOT VALID: the rows that are there fitted the narrower check, so nobody waits for a scan.
    for table, states in (
        ("jobs", "'ready', 'leased', 'dead', 'needs_version'"),
        ("parked_aggregates", "'retrying', 'dead', 'needs_version'"),
    ):
        op.execute(
            f"""
            ALTER TABLE {table} DROP CONSTRAINT {table}_state_check,
                ADD CONSTRAINT {table}_state_check CHECK (state IN ({states})) NOT VALID
            """
        )
    op.execute("ALTER TABLE parked_aggregates ADD COLUMN needs text")
    op.execute(
        "COMMENT ON COLUMN parked_aggregates.needs IS 'the event, as type.vN, that a release must know to go on'"
    )
    op.execute(
        """
        CREATE INDEX parked_aggregates_needs_version ON parked_aggregates (consumer, needs)
         WHERE state = 'needs_version'
        """
    )
    op.execute("CREATE INDEX jobs_needs_version_idx ON jobs (kind, id) WHERE state = 'needs_version'")
    op.execute("CREATE INDEX jobs_needs_version_of_tenant_idx ON jobs (tenant_id, id) WHERE state = 'needs_version'")
