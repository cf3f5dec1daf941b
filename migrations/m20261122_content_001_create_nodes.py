"""Create nodes, a tree of content of any kind, and their texts, one row a locale."""

from alembic import op

from rustok.db.rls import protect

revision = "m20261122_content_001"
down_revision = "m20261122_index_003"


def upgrade() -> None:
    op.execute(
        """
        CREATE TABLE nodes (
            tenant_id uuid NOT NULL REFERENCES tenants,
            id uuid NOT NULL,
            kind text NOT NULL,
            parent_id uuid,
            author text,
            status text NOT NULL CHECK (status IN ('draft', 'published', 'archived')),
            position integer NOT NULL CHECK (position BETWEEN 0 AND 100000),
            depth smallint NOT NULL CONSTRAINT nodes_depth_check CHECK (depth BETWEEN 0 AND 100),
            tags text[] NOT NULL DEFAULT '{}',
            metadata jsonb NOT NULL DEFAULT '{}',
            seo jsonb NOT NULL DEFAULT '{}',
            version bigint NOT NULL,
            created_at timestamptz NOT NULL,
            updated_at timestamptz NOT NULL,
            published_at timestamptz,
            PRIMARY KEY (tenant_id, id),
            CONSTRAINT nodes_parent_fkey FOREIGN KEY (tenant_id, parent_id) REFERENCES nodes
        )
        """
    )
    op.execute("CREATE INDEX nodes_parent ON nodes (tenant_id, parent_id)")
    op.execute("CREATE INDEX nodes_kind ON nodes (tenant_id, kind, id)")
    # `kind` is the node's, repeated for the unique key: a node never changes its kind.
    op.execute(
        """
        CREATE TABLE node_translations (
            tenant_id uuid NOT NULL,
            node_id uuid NOT NULL,
            locale text NOT NULL,
            kind text NOT NULL,
            title text NOT NULL,
            slug text NOT NULL,
            excerpt text NOT NULL,
            PRIMARY KEY (tenant_id, node_id, locale),
            CONSTRAINT node_translations_slug_key UNIQUE (tenant_id, kind, locale, slug),
            FOREIGN KEY (tenant_id, node_id) REFERENCES nodes ON DELETE CASCADE
        )
        """
    )
    for table in ("nodes", "node_translations"):
        for statement in protect(table, "SELECT, INSERT, UPDATE, DELETE"):
            op.execute(statement)
