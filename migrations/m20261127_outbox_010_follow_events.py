"""Create what a reader of a tenant's events needs: an index by tenant, and where the log begins and ends."""

from alembic import op

from rustok.db.rls import APP, SYSTEM, give_function

revision = "m20261127_outbox_010"
down_revision = "m20261127_tenants_004"


def upgrade() -> None:
    # While it is built the sequencer waits, and nobody else: writers have the outbox.
    op.execute("CREATE INDEX event_log_tenant ON event_log (tenant_id, position)")
    # The role app sees the events of its tenant alone, and so no end of the log. STABLE: it is that of the snapshot in
    # which the tenant's events are looked for.
    op.execute(
        r"""
        CREATE FUNCTION event_log_bounds(OUT first_position bigint, OUT last_position bigint)
        LANGUAGE sql STABLE SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp AS $$
            SELECT coalesce((SELECT min((regexp_match(pg_get_expr(relpartbound, oid), 'FROM \(''(\d+)''\)'))[1]::bigint)
                               FROM pg_inherits JOIN pg_class ON oid = inhrelid
                              WHERE inhparent = 'event_log'::regclass), 1),
                   coalesce((SELECT position FROM event_log ORDER BY position DESC LIMIT 1), 0)
        $$
        """
    )
    for statement in give_function("event_log_bounds()", SYSTEM, f"{APP}, {SYSTEM}"):
        op.execute(statement)
