"""Which tables have rows of tenants, as PostgreSQL knows it."""

import asyncpg

_TENANT_TABLES = """
    SELECT c.relname FROM pg_class AS c
      JOIN pg_attribute AS a ON a.attrelid = c.oid AND a.attname = 'tenant_id' AND NOT a.attisdropped
     WHERE c.relkind IN ('r', 'p') AND NOT c.relispartition AND c.relnamespace = 'public'::regnamespace
     ORDER BY c.relname
"""


async def tenant_tables(connection: asyncpg.Connection) -> tuple[str, ...]:
    """Return the names of all tables with a `tenant_id`."""
    return tuple(row["relname"] for row in await connection.fetch(_TENANT_TABLES))
