"""Create sign_in_attempts: how often somebody has tried a password for an address, whether it is a user's or not.

Without tenant_id: attempts are counted alike where there is no such tenant. Rows hold hashes, and no names.
"""

from alembic import op

from rustok.db.rls import APP, SYSTEM

revision = "m20261127_access_003"
down_revision = "m20261127_access_002"


def upgrade() -> None:
    op.execute(
        """
        CREATE TABLE sign_in_attempts (
            counted_by bytea PRIMARY KEY,
            count integer NOT NULL,
            blocked_until timestamptz NOT NULL,
            last_at timestamptz NOT NULL
        )
        """
    )
    op.execute(f"GRANT SELECT, INSERT, UPDATE, DELETE ON sign_in_attempts TO {APP}, {SYSTEM}")
    op.execute("CREATE INDEX sign_in_attempts_age ON sign_in_attempts (last_at)")
