"""Create erased_tenants: what is left of a tenant that was erased, and how far its erasure is until then.

Without its name, and without tenant_id: it is the platform's record, and none of the tenant's rows.
"""

from alembic import op

from rustok.db.rls import protect

revision = "m20261127_tenants_006"
down_revision = "m20261127_tenants_005"


def upgrade() -> None:
    op.execute(
        """
        CREATE TABLE erased_tenants (
            id uuid PRIMARY KEY,
            requested_by text NOT NULL,
            begun_at timestamptz NOT NULL DEFAULT now(),
            ended_at timestamptz,
            rows jsonb NOT NULL DEFAULT '{}'
        )
        """
    )
    for statement in protect("erased_tenants", "SELECT", tenant_column="id"):
        op.execute(statement)
