"""Create bodies: the long text of a translation, apart from what lists read."""

from alembic import op

from rustok.db.rls import protect

revision = "m20261122_content_002"
down_revision = "m20261122_content_001"


def upgrade() -> None:
    op.execute(
        """
        CREATE TABLE bodies (
            tenant_id uuid NOT NULL,
            node_id uuid NOT NULL,
            locale text NOT NULL,
            body text NOT NULL CHECK (octet_length(body) <= 1000000),
            format text NOT NULL CHECK (format IN ('markdown', 'html', 'plain', 'json')),
            PRIMARY KEY (tenant_id, node_id, locale),
            CONSTRAINT bodies_translation_fkey FOREIGN KEY (tenant_id, node_id, locale)
                REFERENCES node_translations ON DELETE CASCADE
        )
        """
    )
    for statement in protect("bodies", "SELECT, INSERT, UPDATE, DELETE"):
        op.execute(statement)
