"""Create the storefront's content table: one row a published node and locale, read without joins."""

from alembic import op

from rustok.db.rls import protect

revision = "m20261122_index_004"
down_revision = "m20261122_content_002"


def upgrade() -> None:
    op.execute(
        """
        CREATE TABLE index_content (
            tenant_id uuid NOT NULL,
            node_id uuid NOT NULL,
            locale text NOT NULL,
            kind text NOT NULL,
            slug text NOT NULL,
            title text NOT NULL,
            excerpt text NOT NULL,
            author text,
            tags text[] NOT NULL,
            parent_id uuid,
            position integer NOT NULL,
            published_at timestamptz NOT NULL,
            source_version bigint NOT NULL,
            details jsonb NOT NULL,
            search tsvector NOT NULL,
            PRIMARY KEY (tenant_id, node_id, locale)
        )
        """
    )
    # The slug is not unique here: of two nodes that swap one, either may be projected first.
    for name, columns in {
        "slug": "(tenant_id, kind, locale, slug)",
        "newest": "(tenant_id, locale, published_at DESC, node_id DESC)",
        "kind_newest": "(tenant_id, locale, kind, published_at DESC, node_id DESC)",
        "title": "(tenant_id, locale, title, node_id)",
        "position": "(tenant_id, locale, position, node_id)",
    }.items():
        op.execute(f"CREATE INDEX index_content_{name} ON index_content {columns}")
    op.execute("CREATE INDEX index_content_search ON index_content USING gin (search)")
    op.execute("CREATE INDEX index_content_tags ON index_content USING gin (tags)")
    for statement in protect("index_content", "SELECT", search=True):
        op.execute(statement)
