"""Whether row level security is in force between tenants; nothing starts where it is not."""

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncEngine

from rustok.db.transaction import run_alone
from rustok.kernel.errors import Misconfigured

# Whoever reads a partition by way of its table is bound by the table's policies. What the role may not touch, such as
# a copy that an owner has made, is no gap.
_FENCES = text(
    """
    SELECT r.rolname AS role, r.rolsuper OR r.rolbypassrls AS is_above,
           ARRAY(SELECT c.relname::text FROM pg_class AS c
                  WHERE c.relkind IN ('r', 'p') AND NOT c.relispartition AND c.relnamespace = 'public'::regnamespace
                    AND NOT (c.relrowsecurity AND c.relforcerowsecurity)
                    AND has_any_column_privilege(c.oid, 'SELECT, INSERT, UPDATE')
                    AND (c.relname = 'tenants' OR EXISTS (
                        SELECT FROM pg_attribute AS a
                         WHERE a.attrelid = c.oid AND a.attname = 'tenant_id' AND NOT a.attisdropped))
                  ORDER BY c.relname) AS open_tables
      FROM pg_roles AS r WHERE r.rolname = current_user
    """
)


async def refuse_open_fences(engine: AsyncEngine, setting: str) -> None:
    """Return when row level security binds the role of *engine* in every table with rows of tenants that it may touch.

    What the policies say is the matter of the migrations, and of their tests.

    Raises:
        Misconfigured: the role, which *setting* names, is above it, or a table does not force it.

    """
    fences = (await run_alone(engine, _FENCES)).one()
    if fences.is_above:
        raise Misconfigured(
            f"{setting} connects as {fences.role}, which row level security does not bind "
            "(SUPERUSER or BYPASSRLS): use the role that `rustok db init` creates."
        )
    if fences.open_tables:
        raise Misconfigured(
            f"Row level security is not enabled and forced on {', '.join(fences.open_tables)}, "
            "so that one tenant might see another's rows: "
            "ALTER TABLE ... ENABLE ROW LEVEL SECURITY, FORCE ROW LEVEL SECURITY."
        )
