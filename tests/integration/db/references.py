"""Foreign keys between rows of tenants, and what they would be without the tenant."""

from typing import NamedTuple

import asyncpg

_REFERENCES = """
    SELECT conname AS name, conrelid::regclass::text AS child, confrelid::regclass::text AS parent,
           ARRAY(SELECT attname::text FROM unnest(conkey) WITH ORDINALITY AS k (attnum, place)
                   JOIN pg_attribute USING (attnum) WHERE attrelid = conrelid ORDER BY place) AS columns,
           ARRAY(SELECT attname::text FROM unnest(confkey) WITH ORDINALITY AS k (attnum, place)
                   JOIN pg_attribute USING (attnum) WHERE attrelid = confrelid ORDER BY place) AS referred
      FROM pg_constraint
     WHERE contype = 'f' AND connamespace = 'public'::regnamespace AND confrelid <> 'tenants'::regclass
     ORDER BY conname
"""


class Reference(NamedTuple):
    """A foreign key; the tenant is the first of its columns."""

    name: str
    child: str
    parent: str
    columns: list[str]
    referred: list[str]


async def references_between_tenants(admin: asyncpg.Connection) -> list[Reference]:
    """Return the foreign keys of rows of tenants to others."""
    return [Reference(*row) for row in await admin.fetch(_REFERENCES)]


async def drop_the_tenant_from(admin: asyncpg.Connection, reference: Reference) -> None:
    columns, referred = (", ".join(names[1:]) for names in (reference.columns, reference.referred))
    await admin.execute(f"ALTER TABLE {reference.child} DROP CONSTRAINT {reference.name}")
    await admin.execute(f"CREATE UNIQUE INDEX ON {reference.parent} ({referred})")
    await admin.execute(
        f"""
        ALTER TABLE {reference.child} ADD CONSTRAINT {reference.name}
              FOREIGN KEY ({columns}) REFERENCES {reference.parent} ({referred}) NOT VALID
        """
    )
