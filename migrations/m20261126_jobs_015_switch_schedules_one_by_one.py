"""Let each schedule have a switch of its own, by its id, which follows from what its owner wrote.

Until now one switch served all schedules of an owner that differed only in `args` or `missed`, and served those of
scripts that were paused, too: theirs are not there, so their ids are derived as they would be. Processes of the release
before go on to find what is off, and what they write gets the same ids; its `rustok schedule off` is refused.
"""

from alembic import op

from rustok.db.rls import APP, SYSTEM

revision = "m20261126_jobs_015"
down_revision = "m20261126_jobs_014"

_SIGNATURE = "schedule_id(uuid, text, text, jsonb, text, text, text)"


def upgrade() -> None:
    op.execute(
        """
        CREATE FUNCTION schedule_id(tenant_id uuid, owner text, kind text, args jsonb, cron text, timezone text,
                                    missed text) RETURNS uuid LANGUAGE sql IMMUTABLE PARALLEL SAFE AS $$
            SELECT md5(jsonb_build_array(tenant_id, owner, kind, args, cron, timezone, missed)::text)::uuid
        $$
        """
    )
    op.execute(f"REVOKE ALL ON FUNCTION {_SIGNATURE} FROM PUBLIC")
    op.execute(f"GRANT EXECUTE ON FUNCTION {_SIGNATURE} TO {APP}, {SYSTEM}")
    # The owner is bound by row level security, and the rows of all tenants are meant.
    for table in ("schedules", "disabled_schedules"):
        op.execute(f"ALTER TABLE {table} NO FORCE ROW LEVEL SECURITY")
    # Releases before m20261126_jobs_009 kept what an owner wrote twice.
    op.execute(
        """
        DELETE FROM schedules AS s USING schedules AS t
         WHERE (s.tenant_id, s.owner, s.kind, s.args, s.cron, s.timezone, s.missed)
             = (t.tenant_id, t.owner, t.kind, t.args, t.cron, t.timezone, t.missed) AND s.id > t.id
        """
    )
    op.execute("UPDATE schedules SET id = schedule_id(tenant_id, owner, kind, args, cron, timezone, missed)")
    op.execute("ALTER TABLE disabled_schedules DROP CONSTRAINT disabled_schedules_pkey, ADD COLUMN schedule_id uuid")
    op.execute(
        """
        WITH known AS (DELETE FROM disabled_schedules RETURNING *)
        INSERT INTO disabled_schedules (tenant_id, schedule_id, owner, kind, cron, timezone, reason, disabled_by,
                                        disabled_at)
        SELECT tenant_id, s.id, owner, kind, cron, timezone, reason, disabled_by, disabled_at
          FROM known JOIN schedules AS s USING (tenant_id, owner, kind, cron, timezone)
         UNION ALL
        SELECT tenant_id,
               schedule_id(tenant_id, owner, kind, jsonb_build_object('script_id', split_part(owner, ':', 2)), cron,
                           timezone, missed),
               owner, kind, cron, timezone, reason, disabled_by, disabled_at
          FROM known CROSS JOIN unnest(ARRAY['latest', 'all', 'skip']) AS missed
         WHERE NOT EXISTS (SELECT FROM schedules AS s
                            WHERE (s.tenant_id, s.owner, s.kind, s.cron, s.timezone)
                                = (known.tenant_id, known.owner, known.kind, known.cron, known.timezone))
        """
    )
    op.execute("ALTER TABLE disabled_schedules ADD PRIMARY KEY (tenant_id, schedule_id)")
    op.execute(
        """
        CREATE FUNCTION identify_schedule() RETURNS trigger LANGUAGE plpgsql AS $$
        BEGIN
            NEW.id := schedule_id(NEW.tenant_id, NEW.owner, NEW.kind, NEW.args, NEW.cron, NEW.timezone, NEW.missed);
            RETURN NEW;
        END
        $$
        """
    )
    op.execute(
        "CREATE TRIGGER schedules_identified BEFORE INSERT ON schedules FOR EACH ROW"
        " EXECUTE FUNCTION identify_schedule()"
    )
    op.execute(f"GRANT DELETE ON disabled_schedules TO {APP}")
    for table in ("schedules", "disabled_schedules"):
        op.execute(f"ALTER TABLE {table} FORCE ROW LEVEL SECURITY")
