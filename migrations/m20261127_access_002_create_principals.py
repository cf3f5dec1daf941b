"""Create principals, roles and sessions. An API key belongs to a principal, whose rights bound those of the key.

A key that was made before gets a service principal of its own, with the role that it had. `api_keys.role` stays for
processes of the release before this one, for which a new key is a customer's; nothing of this one reads it. They cannot
make keys any more.
"""

from alembic import op

from rustok.db.rls import APP, SYSTEM, give_function, protect

revision = "m20261127_access_002"
down_revision = "m20261127_tenants_006"

_TABLES = (
    """
    CREATE TABLE roles (
        tenant_id uuid NOT NULL REFERENCES tenants,
        id uuid NOT NULL,
        name text NOT NULL,
        summary text NOT NULL,
        parents text[] NOT NULL,
        grants text[] NOT NULL,
        own_grants text[] NOT NULL,
        permissions text[] NOT NULL,
        own_permissions text[] NOT NULL,
        version bigint NOT NULL,
        created_at timestamptz NOT NULL,
        updated_at timestamptz NOT NULL,
        PRIMARY KEY (tenant_id, id),
        CONSTRAINT roles_name_key UNIQUE (tenant_id, name)
    )
    """,
    """
    CREATE TABLE principals (
        tenant_id uuid NOT NULL REFERENCES tenants,
        id uuid NOT NULL,
        kind text NOT NULL CHECK (kind IN ('user', 'service')),
        name text NOT NULL,
        email text CHECK ((email IS NOT NULL) = (kind = 'user')),
        password_hash text CHECK (password_hash IS NULL OR kind = 'user'),
        is_active boolean NOT NULL,
        version bigint NOT NULL,
        created_at timestamptz NOT NULL,
        updated_at timestamptz NOT NULL,
        PRIMARY KEY (tenant_id, id),
        CONSTRAINT principals_email_key UNIQUE (tenant_id, email)
    )
    """,
    """
    CREATE TABLE principal_roles (
        tenant_id uuid NOT NULL,
        principal_id uuid NOT NULL,
        role text NOT NULL,
        PRIMARY KEY (tenant_id, principal_id, role),
        FOREIGN KEY (tenant_id, principal_id) REFERENCES principals ON DELETE CASCADE
    )
    """,
    "CREATE INDEX principal_roles_role ON principal_roles (tenant_id, role)",
    """
    CREATE TABLE sessions (
        tenant_id uuid NOT NULL,
        id uuid NOT NULL,
        principal_id uuid NOT NULL,
        method text NOT NULL,
        generation integer NOT NULL,
        rotated_at timestamptz NOT NULL,
        expires_at timestamptz NOT NULL,
        revoked_at timestamptz,
        version bigint NOT NULL,
        created_at timestamptz NOT NULL,
        PRIMARY KEY (tenant_id, id),
        FOREIGN KEY (tenant_id, principal_id) REFERENCES principals ON DELETE CASCADE
    )
    """,
    "CREATE INDEX sessions_of_principal ON sessions (tenant_id, principal_id)",
    "CREATE INDEX sessions_age ON sessions (expires_at)",
)
_ADOPTING = ("api_keys", "principals", "principal_roles")
_ADOPT_KEYS = (
    """
    ALTER TABLE api_keys
        ALTER COLUMN role SET DEFAULT 'customer', ADD COLUMN principal_id uuid, ADD COLUMN scopes text[],
        ADD COLUMN successor_id uuid
    """,
    # FORCE hides every tenant's rows from the owner of the tables; for this once it sees them.
    *(f"ALTER TABLE {table} NO FORCE ROW LEVEL SECURITY" for table in _ADOPTING),
    """
    INSERT INTO principals (tenant_id, id, kind, name, is_active, version, created_at, updated_at)
    SELECT tenant_id, id, 'service', name, true, 1, created_at, created_at FROM api_keys
    """,
    "INSERT INTO principal_roles (tenant_id, principal_id, role) SELECT tenant_id, id, role FROM api_keys",
    "UPDATE api_keys SET principal_id = id",
    *(f"ALTER TABLE {table} FORCE ROW LEVEL SECURITY" for table in _ADOPTING),
    """
    ALTER TABLE api_keys
        ALTER COLUMN principal_id SET NOT NULL,
        ADD FOREIGN KEY (tenant_id, principal_id) REFERENCES principals ON DELETE CASCADE
    """,
    "CREATE INDEX api_keys_of_principal ON api_keys (tenant_id, principal_id)",
    "CREATE INDEX api_keys_of_successor ON api_keys (tenant_id, successor_id)",
    # The key must be the newest index: m20261124_commerce_005 says why.
    "ALTER TABLE api_keys DROP CONSTRAINT api_keys_pkey, ADD PRIMARY KEY (tenant_id, id)",
    "ALTER TABLE api_keys ADD FOREIGN KEY (tenant_id, successor_id) REFERENCES api_keys",
)
# UNION ends the walk also where roles would be parents of each other.
_RIGHTS_OF_ROLES = """
    CREATE FUNCTION rights_of_roles(of_tenant uuid, of_roles text[])
    RETURNS TABLE (roles text[], permissions text[], own_permissions text[]) LANGUAGE sql STABLE AS $$
        WITH RECURSIVE reached (name) AS (
            SELECT unnest(of_roles)
            UNION
            SELECT parent
              FROM reached JOIN public.roles AS r ON r.tenant_id = of_tenant AND r.name = reached.name
             CROSS JOIN LATERAL unnest(r.parents) AS parent
        ), granted AS (
            SELECT r.permissions, r.own_permissions
              FROM reached JOIN public.roles AS r ON r.tenant_id = of_tenant AND r.name = reached.name
        )
        SELECT ARRAY(SELECT name FROM reached ORDER BY name),
               ARRAY(SELECT DISTINCT unnest(g.permissions) FROM granted AS g),
               ARRAY(SELECT DISTINCT unnest(g.own_permissions) FROM granted AS g)
    $$
"""
_ROLES_OF = """
    ARRAY(SELECT h.role FROM public.principal_roles AS h
           WHERE h.tenant_id = p.tenant_id AND h.principal_id = p.id)
"""
_IDENTITY_COLUMNS = """
    tenant_id uuid, tenant_slug text, principal_id uuid, principal_kind text, is_active boolean, roles text[],
    permissions text[], own_permissions text[], authz_version bigint, modules_off text[], request_quota text
"""
_IDENTITY = """
    t.id, t.slug, p.id, p.kind, p.is_active, r.roles, r.permissions, r.own_permissions, t.authz_version,
    public.modules_off(t.id), t.request_quota
"""
_AND_RIGHTS = f"""
    JOIN public.principals AS p ON p.tenant_id = c.tenant_id AND p.id = c.principal_id
    JOIN public.tenants AS t ON t.id = c.tenant_id
   CROSS JOIN LATERAL public.rights_of_roles(t.id, {_ROLES_OF}) AS r
"""
# The looks that happen before the tenant is known: the credential tells it.
_AUTHENTICATE_API_KEY = f"""
    CREATE FUNCTION authenticate_api_key(wanted text)
    RETURNS TABLE (id uuid, secret_hash bytea, expires_at timestamptz, revoked_at timestamptz, scopes text[],
                   {_IDENTITY_COLUMNS})
    LANGUAGE sql STABLE SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp AS $$
        SELECT c.id, c.secret_hash, c.expires_at, c.revoked_at, c.scopes, {_IDENTITY}
          FROM public.api_keys AS c {_AND_RIGHTS}
         WHERE c.key_id = wanted
    $$
"""
_AUTHENTICATE_SESSION = f"""
    CREATE FUNCTION authenticate_session(of_tenant uuid, wanted uuid)
    RETURNS TABLE (id uuid, expires_at timestamptz, revoked_at timestamptz, {_IDENTITY_COLUMNS})
    LANGUAGE sql STABLE SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp AS $$
        SELECT c.id, c.expires_at, c.revoked_at, {_IDENTITY}
          FROM public.sessions AS c {_AND_RIGHTS}
         WHERE c.tenant_id = of_tenant AND c.id = wanted
    $$
"""


def upgrade() -> None:
    for statement in _TABLES:
        op.execute(statement)
    for table in ("roles", "principals", "principal_roles", "sessions"):
        for statement in protect(table, "SELECT, INSERT, UPDATE, DELETE"):
            op.execute(statement)
    for statement in _ADOPT_KEYS:
        op.execute(statement)
    op.execute(_RIGHTS_OF_ROLES)
    op.execute("REVOKE ALL ON FUNCTION rights_of_roles(uuid, text[]) FROM PUBLIC")
    op.execute(f"GRANT EXECUTE ON FUNCTION rights_of_roles(uuid, text[]) TO {APP}, {SYSTEM}")
    op.execute(_AUTHENTICATE_API_KEY)
    op.execute(_AUTHENTICATE_SESSION)
    for signature in ("authenticate_api_key(text)", "authenticate_session(uuid, uuid)"):
        for statement in give_function(signature, SYSTEM, APP):
            op.execute(statement)
    op.execute("ALTER TABLE nodes ADD COLUMN made_by text")
