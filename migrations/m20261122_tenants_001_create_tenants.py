"""Create the tenants: each row is the root of everything that carries its id."""

from alembic import op

from rustok.db.rls import protect

revision = "m20261122_tenants_001"
down_revision = None


def upgrade() -> None:
    op.execute(
        """
        CREATE TABLE tenants (
            id uuid PRIMARY KEY,
            slug text NOT NULL CONSTRAINT tenants_slug_key UNIQUE,
            name text NOT NULL,
            default_locale text NOT NULL,
            default_currency text NOT NULL,
            is_active boolean NOT NULL DEFAULT true,
            authz_version bigint NOT NULL DEFAULT 1,
            version bigint NOT NULL,
            created_at timestamptz NOT NULL,
            updated_at timestamptz NOT NULL
        )
        """
    )
    for statement in protect("tenants", "SELECT, INSERT, UPDATE", tenant_column="id"):
        op.execute(statement)
    # Whether every migration is applied is part of each process's health.
    op.execute("GRANT SELECT ON alembic_version TO rustok_app, rustok_system")
