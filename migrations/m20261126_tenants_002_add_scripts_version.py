"""Add scripts_version: what workers have read of a tenant's scripts holds while it stays the same.

Triggers raise it: a process of the release before this one, which knows nothing of it, may change scripts as well.
"""

from alembic import op

revision = "m20261126_tenants_002"
down_revision = "m20261125_jobs_004"


def upgrade() -> None:
    op.execute("ALTER TABLE tenants ADD COLUMN scripts_version bigint NOT NULL DEFAULT 1")
    op.execute(
        """
        CREATE FUNCTION raise_scripts_version() RETURNS trigger LANGUAGE plpgsql AS $$
        BEGIN
            UPDATE tenants SET scripts_version = scripts_version + 1 WHERE id = coalesce(NEW.tenant_id, OLD.tenant_id);
            RETURN NULL;
        END
        $$
        """
    )
    op.execute(
        """
        CREATE TRIGGER scripts_version AFTER DELETE OR UPDATE OF name, status, owner, grants, hosts, secrets,
                                                                 active_version, canary_version, canary_percent
            ON scripts FOR EACH ROW EXECUTE FUNCTION raise_scripts_version()
        """
    )
    op.execute(
        """
        CREATE TRIGGER scripts_version AFTER INSERT OR UPDATE OF limits
            ON script_limits FOR EACH ROW EXECUTE FUNCTION raise_scripts_version()
        """
    )
