"""Create audit_log: what was done about access, in a chain of hashes a tenant. Rows are added, and never changed.

Row level security and grants bind the platform's roles, the triggers whoever owns the table too. Rows go when their
tenant is erased.
"""

from alembic import op

from rustok.db.rls import SYSTEM, protect

revision = "m20261127_access_004"
down_revision = "m20261127_access_003"


def upgrade() -> None:
    op.execute(
        """
        CREATE TABLE audit_log (
            tenant_id uuid NOT NULL REFERENCES tenants,
            number bigint NOT NULL CHECK (number > 0),
            event_id uuid NOT NULL,
            type text NOT NULL,
            actor text NOT NULL,
            aggregate_type text NOT NULL,
            aggregate_id uuid NOT NULL,
            correlation_id uuid NOT NULL,
            causation_id uuid NOT NULL,
            occurred_at timestamptz NOT NULL,
            payload jsonb NOT NULL,
            previous_hash bytea NOT NULL,
            hash bytea NOT NULL,
            PRIMARY KEY (tenant_id, number),
            CONSTRAINT audit_log_event_id_key UNIQUE (tenant_id, event_id)
        )
        """
    )
    for statement in protect("audit_log", "SELECT"):
        op.execute(statement)
    op.execute(f"REVOKE UPDATE ON audit_log FROM {SYSTEM}")
    op.execute(
        """
        CREATE FUNCTION refuse_audit_change() RETURNS trigger LANGUAGE plpgsql AS $$
        BEGIN
            RAISE EXCEPTION 'the audit log is append-only: % is refused', TG_OP
                  USING ERRCODE = 'insufficient_privilege';
        END $$
        """
    )
    op.execute("REVOKE ALL ON FUNCTION refuse_audit_change() FROM PUBLIC")
    op.execute(
        """
        CREATE TRIGGER audit_log_stays BEFORE UPDATE OR TRUNCATE ON audit_log
           FOR EACH STATEMENT EXECUTE FUNCTION refuse_audit_change()
        """
    )
    op.execute(
        """
        CREATE FUNCTION refuse_audit_deletion() RETURNS trigger LANGUAGE plpgsql AS $$
        BEGIN
            IF NOT EXISTS (SELECT FROM public.erased_tenants WHERE id = OLD.tenant_id AND ended_at IS NULL) THEN
                RAISE EXCEPTION 'the audit log is append-only: tenant % is not being erased', OLD.tenant_id
                      USING ERRCODE = 'insufficient_privilege';
            END IF;
            RETURN OLD;
        END $$
        """
    )
    op.execute("REVOKE ALL ON FUNCTION refuse_audit_deletion() FROM PUBLIC")
    op.execute(
        """
        CREATE TRIGGER audit_log_goes_with_its_tenant BEFORE DELETE ON audit_log
           FOR EACH ROW EXECUTE FUNCTION refuse_audit_deletion()
        """
    )
