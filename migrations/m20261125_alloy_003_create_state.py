"""Create what scripts keep: values, secrets; and the limits that an operator has set for a tenant."""

from alembic import op

from rustok.db.rls import APP, SYSTEM, protect

revision = "m20261125_alloy_003"
down_revision = "m20261125_alloy_002"


def upgrade() -> None:
    op.execute(
        """
        CREATE TABLE script_values (
            tenant_id uuid NOT NULL,
            script_id uuid NOT NULL,
            key text NOT NULL,
            value jsonb NOT NULL,
            version bigint NOT NULL,
            expires_at timestamptz,
            updated_at timestamptz NOT NULL,
            PRIMARY KEY (tenant_id, script_id, key),
            FOREIGN KEY (tenant_id, script_id) REFERENCES scripts ON DELETE CASCADE
        )
        """
    )
    op.execute("CREATE INDEX script_values_expires_at_idx ON script_values (expires_at) WHERE expires_at IS NOT NULL")
    # Of all writes of all values: a value that was deleted and made anew has another version than before.
    op.execute("CREATE SEQUENCE script_value_versions")
    op.execute(f"GRANT USAGE ON SEQUENCE script_value_versions TO {APP}, {SYSTEM}")
    op.execute(
        """
        CREATE TABLE script_data_keys (
            tenant_id uuid NOT NULL REFERENCES tenants,
            wrapped_key bytea NOT NULL,
            PRIMARY KEY (tenant_id)
        )
        """
    )
    op.execute(
        """
        CREATE TABLE script_secrets (
            tenant_id uuid NOT NULL REFERENCES tenants,
            name text NOT NULL,
            sealed bytea NOT NULL,
            version bigint NOT NULL,
            updated_at timestamptz NOT NULL,
            PRIMARY KEY (tenant_id, name)
        )
        """
    )
    op.execute(
        """
        CREATE TABLE script_limits (
            tenant_id uuid NOT NULL REFERENCES tenants,
            limits jsonb NOT NULL,
            booked_until timestamptz NOT NULL,
            PRIMARY KEY (tenant_id)
        )
        """
    )
    for table, rights in (
        ("script_values", "SELECT, INSERT, UPDATE, DELETE"),
        ("script_data_keys", "SELECT, INSERT, UPDATE"),
        ("script_secrets", "SELECT, INSERT, UPDATE, DELETE"),
        ("script_limits", "SELECT, INSERT, UPDATE"),
    ):
        for statement in protect(table, rights):
            op.execute(statement)
