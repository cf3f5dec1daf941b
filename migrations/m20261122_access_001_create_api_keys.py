"""Create the API keys. Only a keyed hash of a secret is kept."""

from alembic import op

from rustok.db.rls import APP, SYSTEM, give_function, protect

revision = "m20261122_access_001"
down_revision = "m20261122_outbox_004"


def upgrade() -> None:
    op.execute(
        """
        CREATE TABLE api_keys (
            tenant_id uuid NOT NULL REFERENCES tenants,
            id uuid NOT NULL,
            key_id text NOT NULL CONSTRAINT api_keys_key_id_key UNIQUE,
            secret_hash bytea NOT NULL,
            name text NOT NULL,
            role text NOT NULL,
            expires_at timestamptz,
            revoked_at timestamptz,
            version bigint NOT NULL,
            created_at timestamptz NOT NULL,
            PRIMARY KEY (tenant_id, id)
        )
        """
    )
    for statement in protect("api_keys", "SELECT, INSERT, UPDATE"):
        op.execute(statement)
    # The one look-up that happens before the tenant is known: the key tells the tenant.
    op.execute(
        """
        CREATE FUNCTION find_api_key(wanted text)
        RETURNS TABLE (tenant_id uuid, id uuid, secret_hash bytea, role text, expires_at timestamptz,
                       revoked_at timestamptz, authz_version bigint, tenant_slug text)
        LANGUAGE sql STABLE SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp AS $$
            SELECT k.tenant_id, k.id, k.secret_hash, k.role, k.expires_at, k.revoked_at, t.authz_version, t.slug
              FROM public.api_keys k JOIN public.tenants t ON t.id = k.tenant_id
             WHERE k.key_id = wanted
        $$
        """
    )
    for statement in give_function("find_api_key(text)", SYSTEM, APP):
        op.execute(statement)
