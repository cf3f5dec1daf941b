"""Create the content search: the one way the app role reads the content index by text.

Row level security would switch the GIN indexes off, since `@@` is not leakproof. The function belongs to a
role that sees every tenant, so it compares the tenant itself; EXECUTE plans each shape of query for its values.
Bodies stay behind: a page of them could be 100 MB.
"""

from alembic import op

from rustok.db.rls import APP, SEARCH, give_function

revision = "m20261122_index_005"
down_revision = "m20261122_index_004"

ARGUMENTS = "uuid, text, text, jsonb, text, jsonb, integer"


def upgrade() -> None:
    op.execute(
        """
        CREATE FUNCTION search_content(tenant uuid, wanted_locale text, query text, filters jsonb, sort text,
                                       after jsonb, page_limit integer)
        RETURNS TABLE (node_id uuid, kind text, slug text, title text, excerpt text, author text, tags text[],
                       parent_id uuid, "position" integer, published_at timestamptz, source_version bigint,
                       details jsonb, sort_key jsonb)
        LANGUAGE plpgsql STABLE SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp AS $$
        DECLARE
            key text;
            key_type text;
            direction text;
            comparison text;
            conditions text := 'tenant_id = $1 AND locale = $2';
        BEGIN
            IF tenant IS DISTINCT FROM NULLIF(current_setting('rustok.tenant_id', true), '')::uuid THEN
                RAISE EXCEPTION 'search outside the tenant of the transaction' USING ERRCODE = '42501';
            END IF;
            CASE sort
                WHEN 'relevance' THEN key := 'ts_rank(search, $3)'; key_type := 'real'; direction := 'DESC';
                WHEN 'newest' THEN key := 'published_at'; key_type := 'timestamptz'; direction := 'DESC';
                WHEN 'title' THEN key := 'title'; key_type := 'text'; direction := 'ASC';
                WHEN 'position' THEN key := 'position'; key_type := 'integer'; direction := 'ASC';
            END CASE;
            comparison := CASE direction WHEN 'ASC' THEN '>' ELSE '<' END;
            IF query IS NOT NULL THEN conditions := conditions || ' AND search @@ $3'; END IF;
            IF filters ? 'kind' THEN conditions := conditions || ' AND kind = $4->>''kind'''; END IF;
            IF filters ? 'author' THEN conditions := conditions || ' AND author = $4->>''author'''; END IF;
            IF filters ? 'tags' THEN
                conditions := conditions || ' AND tags @> ARRAY(SELECT jsonb_array_elements_text($4->''tags''))';
            END IF;
            IF after IS NOT NULL THEN
                conditions := conditions || format(' AND (%s, node_id) %s (($5->>0)::%s, ($5->>1)::uuid)',
                                                   key, comparison, key_type);
            END IF;
            RETURN QUERY EXECUTE format(
                'SELECT node_id, kind, slug, title, excerpt, author, tags, parent_id, position, published_at,
                        source_version, details - ''body'', jsonb_build_array(%1$s, node_id)
                   FROM index_content WHERE %2$s ORDER BY %1$s %3$s, node_id %3$s LIMIT $6',
                key, conditions, direction)
            USING tenant, wanted_locale, websearch_to_tsquery(text_search_config(wanted_locale), query), filters,
                  after, page_limit;
        END $$
        """
    )
    for statement in give_function(f"search_content({ARGUMENTS})", SEARCH, APP):
        op.execute(statement)
