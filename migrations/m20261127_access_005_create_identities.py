"""Create identities: whom a provider vouches for, by what stays the same of somebody there."""

from alembic import op

from rustok.db.rls import protect

revision = "m20261127_access_005"
down_revision = "m20261127_access_004"


def upgrade() -> None:
    op.execute(
        """
        CREATE TABLE identities (
            tenant_id uuid NOT NULL,
            issuer text NOT NULL,
            subject text NOT NULL,
            principal_id uuid NOT NULL,
            created_at timestamptz NOT NULL,
            PRIMARY KEY (tenant_id, issuer, subject),
            CONSTRAINT identities_principal_key UNIQUE (tenant_id, principal_id, issuer),
            FOREIGN KEY (tenant_id, principal_id) REFERENCES principals ON DELETE CASCADE
        )
        """
    )
    for statement in protect("identities", "SELECT, INSERT, DELETE"):
        op.execute(statement)
