"""Create tenant_domains, and the look-up of a tenant that a request names before anything is known of it."""

from alembic import op

from rustok.db.rls import APP, SYSTEM, give_function, protect

revision = "m20261127_tenants_005"
down_revision = "m20261127_index_009"


def upgrade() -> None:
    op.execute("ALTER TABLE tenants ADD COLUMN has_storefront boolean NOT NULL DEFAULT false")
    op.execute(
        """
        CREATE TABLE tenant_domains (
            tenant_id uuid NOT NULL REFERENCES tenants,
            domain text NOT NULL CONSTRAINT tenant_domains_domain_key UNIQUE,
            created_at timestamptz NOT NULL,
            PRIMARY KEY (tenant_id, domain)
        )
        """
    )
    for statement in protect("tenant_domains", "SELECT, INSERT, DELETE"):
        op.execute(statement)
    op.execute(
        """
        CREATE FUNCTION resolve_tenant(wanted_id uuid, wanted_slug text, wanted_domain text)
        RETURNS TABLE (id uuid, slug text, has_storefront boolean, authz_version bigint, modules_off text[],
                       request_quota text)
        LANGUAGE sql STABLE SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp AS $$
            SELECT t.id, t.slug, t.has_storefront, t.authz_version, public.modules_off(t.id), t.request_quota
              FROM public.tenants t
             WHERE t.id = wanted_id OR t.slug = wanted_slug
                OR t.id = (SELECT d.tenant_id FROM public.tenant_domains d WHERE d.domain = wanted_domain)
        $$
        """
    )
    for statement in give_function("resolve_tenant(uuid, text, text)", SYSTEM, APP):
        op.execute(statement)
