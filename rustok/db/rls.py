"""Row level security: which role may see which rows of which tenant.

Four roles: *owner* migrates and sees no tenant's rows; *app* (API, scripts' effects) sees the rows of the
tenant its transaction is bound to; *search* cannot log in and owns the search functions; *system* (relay,
workers) sees every tenant and joins on `tenant_id` everywhere.
"""

OWNER, APP, SEARCH, SYSTEM = "rustok_owner", "rustok_app", "rustok_search", "rustok_system"

CURRENT_TENANT = "NULLIF(current_setting('rustok.tenant_id', true), '')::uuid"
"""The tenant of the transaction. NULLIF, because a setting that was SET LOCAL once reads '' afterwards."""


def protect(table: str, app: str, *, tenant_column: str = "tenant_id", search: bool = False) -> list[str]:
    """Return the statements that fence *table*: FORCE, a policy a role, and the grants.

    Args:
        app: what the role app may do, such as "SELECT, INSERT, UPDATE, DELETE".
        tenant_column: the column that names the tenant.
        search: the search functions read this table.

    """
    fence = f"{tenant_column} = {CURRENT_TENANT}"
    statements = [
        f"ALTER TABLE {table} ENABLE ROW LEVEL SECURITY",
        f"ALTER TABLE {table} FORCE ROW LEVEL SECURITY",
        f"CREATE POLICY tenant ON {table} TO {APP} USING ({fence}) WITH CHECK ({fence})",
        f"CREATE POLICY every_tenant ON {table} TO {SYSTEM} USING (true) WITH CHECK (true)",
        f"GRANT {app} ON {table} TO {APP}",
        f"GRANT SELECT, INSERT, UPDATE, DELETE ON {table} TO {SYSTEM}",
    ]
    if search:
        statements += [
            f"CREATE POLICY search ON {table} FOR SELECT TO {SEARCH} USING (true)",
            f"GRANT SELECT ON {table} TO {SEARCH}",
        ]
    return statements


def give_function(signature: str, owner: str, callers: str) -> list[str]:
    """Return the statements that make *owner* the owner of a SECURITY DEFINER function, called by *callers*."""
    return [
        f"REVOKE ALL ON FUNCTION {signature} FROM PUBLIC",
        f"GRANT EXECUTE ON FUNCTION {signature} TO {callers}",
        f"GRANT CREATE ON SCHEMA public TO {owner}",  # PostgreSQL asks it of a function's new owner
        f"ALTER FUNCTION {signature} OWNER TO {owner}",
        f"REVOKE CREATE ON SCHEMA public FROM {owner}",
    ]
