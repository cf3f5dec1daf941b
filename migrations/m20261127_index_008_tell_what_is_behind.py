"""Create the function that tells which aggregates projections have not brought to a version yet.

One question is about aggregates of many tenants, whose readers wait for them: it is asked by a function of the role
system, and answers with places in the question alone.
"""

from alembic import op

from rustok.db.rls import APP, SYSTEM, give_function

revision = "m20261127_index_008"
down_revision = "m20261127_db_002"

# A look-up by key each: a join might become a scan of the whole table.
_BEHIND = """
    CREATE FUNCTION index_behind(wanted json) RETURNS SETOF integer
    LANGUAGE sql STABLE SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp AS $$
        SELECT w.place
          FROM json_to_recordset(wanted)
               AS w (place integer, projection text, tenant_id uuid, aggregate_id uuid, version bigint)
         WHERE w.version > coalesce((SELECT v.version FROM index_versions AS v
                                      WHERE v.projection = w.projection AND v.tenant_id = w.tenant_id
                                        AND v.aggregate_id = w.aggregate_id), 0)
    $$
"""


def upgrade() -> None:
    op.execute(_BEHIND)
    for statement in give_function("index_behind(json)", SYSTEM, f"{APP}, {SYSTEM}"):
        op.execute(statement)
