"""Create the answers kept for clients that retry: one a key, written with the rows it answers for."""

from alembic import op

from rustok.db.rls import protect

revision = "m20261122_db_001"
down_revision = "m20261122_tenants_001"


def upgrade() -> None:
    op.execute(
        """
        CREATE TABLE idempotency_keys (
            tenant_id uuid NOT NULL REFERENCES tenants,
            scope_hash bytea NOT NULL,
            request_hash bytea NOT NULL,
            result text NOT NULL,
            created_at timestamptz NOT NULL,
            PRIMARY KEY (tenant_id, scope_hash)
        )
        """
    )
    op.execute("CREATE INDEX idempotency_keys_created_at ON idempotency_keys (created_at)")
    for statement in protect("idempotency_keys", "SELECT, INSERT, UPDATE"):
        op.execute(statement)
