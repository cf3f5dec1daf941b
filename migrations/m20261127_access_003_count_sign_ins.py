"""Create sign_in_attempts: how often somebody has tried a password for an address, whether it is a user's or not."""

from alembic import op

from rustok.db.rls import protect

revision = "m20261127_access_003"
down_revision = "m20261127_access_002"


def upgrade() -> None:
    op.execute(
        """
        CREATE TABLE sign_in_attempts (
            tenant_id uuid NOT NULL REFERENCES tenants,
            address_hash bytea NOT NULL,
            count integer NOT NULL,
            blocked_until timestamptz NOT NULL,
            last_at timestamptz NOT NULL,
            PRIMARY KEY (tenant_id, address_hash)
        )
        """
    )
    for statement in protect("sign_in_attempts", "SELECT, INSERT, UPDATE, DELETE"):
        op.execute(statement)
    op.execute("CREATE INDEX sign_in_attempts_age ON sign_in_attempts (last_at)")
