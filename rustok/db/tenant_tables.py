"""Which tables have rows of tenants, as PostgreSQL knows it, and in which order they can be emptied."""

from collections.abc import Sequence
from dataclasses import dataclass
from graphlib import TopologicalSorter

from sqlalchemy import text

from rustok.db.transaction import Transaction

# Partitions belong to their table.
_TABLES = text(
    """
    SELECT c.relname AS name,
           EXISTS (SELECT FROM pg_index AS i
                    WHERE i.indrelid = c.oid AND i.indkey[0] = a.attnum AND i.indpred IS NULL AND i.indisvalid)
               AS has_tenant_index,
           ARRAY(SELECT DISTINCT f.confrelid::regclass::text FROM pg_constraint AS f
                  WHERE f.conrelid = c.oid AND f.contype = 'f' AND f.confrelid <> c.oid) AS refers_to,
           ARRAY(SELECT DISTINCT o.attname::text FROM pg_constraint AS f
                   JOIN pg_attribute AS o ON o.attrelid = c.oid AND o.attnum = ANY (f.conkey) AND o.attnum <> a.attnum
                  WHERE f.conrelid = c.oid AND f.contype = 'f' AND f.confrelid = c.oid) AS refers_to_itself_by
      FROM pg_class AS c
      JOIN pg_attribute AS a ON a.attrelid = c.oid AND a.attname = 'tenant_id' AND NOT a.attisdropped
     WHERE c.relkind IN ('r', 'p') AND NOT c.relispartition AND c.relnamespace = 'public'::regnamespace
     ORDER BY c.relname
    """
)


@dataclass(frozen=True, slots=True)
class TenantTable:
    """`has_tenant_index`: an index finds a tenant's rows. `refers_to_itself_by`: the columns by which rows name others
    of the table, besides `tenant_id`.
    """

    name: str
    has_tenant_index: bool
    refers_to: frozenset[str]
    refers_to_itself_by: tuple[str, ...]


async def tenant_tables(transaction: Transaction) -> Sequence[TenantTable]:
    """Return every table that has a `tenant_id`, those whose rows refer to others before these others."""
    rows = await transaction.execute(_TABLES)
    tables = {
        row.name: TenantTable(row.name, row.has_tenant_index, frozenset(row.refers_to), tuple(row.refers_to_itself_by))
        for row in rows
    }
    order = TopologicalSorter({name: table.refers_to & tables.keys() for name, table in tables.items()})
    return [tables[name] for name in reversed([*order.static_order()])]
