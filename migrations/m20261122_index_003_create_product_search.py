"""Create the product search: the one way the app role reads the product index by text.

Row level security would switch the GIN indexes off, since `@@` is not leakproof. The function belongs to a
role that sees every tenant, so it compares the tenant itself; EXECUTE plans each shape of query for its values.
"""

from alembic import op

from rustok.db.rls import APP, SEARCH, give_function

revision = "m20261122_index_003"
down_revision = "m20261122_index_002"

ARGUMENTS = "uuid, text, text, jsonb, text, jsonb, integer"


def upgrade() -> None:
    op.execute(
        """
        CREATE FUNCTION search_products(tenant uuid, wanted_locale text, query text, filters jsonb, sort text,
                                        after jsonb, page_limit integer)
        RETURNS TABLE (product_id uuid, handle text, title text, vendor text, product_type text, tags text[],
                       price_min bigint, price_max bigint, on_sale boolean, published_at timestamptz,
                       source_version bigint, details jsonb, sort_key jsonb)
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
                WHEN 'price' THEN key := 'price_min'; key_type := 'bigint'; direction := 'ASC';
                WHEN '-price' THEN key := 'price_min'; key_type := 'bigint'; direction := 'DESC';
            END CASE;
            comparison := CASE direction WHEN 'ASC' THEN '>' ELSE '<' END;
            IF query IS NOT NULL THEN conditions := conditions || ' AND search @@ $3'; END IF;
            IF filters ? 'vendor' THEN conditions := conditions || ' AND vendor = $4->>''vendor'''; END IF;
            IF filters ? 'product_type' THEN
                conditions := conditions || ' AND product_type = $4->>''product_type''';
            END IF;
            IF filters ? 'tags' THEN
                conditions := conditions || ' AND tags @> ARRAY(SELECT jsonb_array_elements_text($4->''tags''))';
            END IF;
            IF filters ? 'on_sale' THEN
                conditions := conditions || ' AND on_sale = ($4->>''on_sale'')::boolean';
            END IF;
            IF filters ? 'price_from' THEN
                conditions := conditions || ' AND price_max >= ($4->>''price_from'')::bigint';
            END IF;
            IF filters ? 'price_to' THEN
                conditions := conditions || ' AND price_min <= ($4->>''price_to'')::bigint';
            END IF;
            IF sort IN ('price', '-price') THEN conditions := conditions || ' AND price_min IS NOT NULL'; END IF;
            IF after IS NOT NULL THEN
                conditions := conditions || format(' AND (%s, product_id) %s (($5->>0)::%s, ($5->>1)::uuid)',
                                                   key, comparison, key_type);
            END IF;
            RETURN QUERY EXECUTE format(
                'SELECT product_id, handle, title, vendor, product_type, tags, price_min, price_max, on_sale,
                        published_at, source_version, details, jsonb_build_array(%1$s, product_id)
                   FROM index_products WHERE %2$s ORDER BY %1$s %3$s, product_id %3$s LIMIT $6',
                key, conditions, direction)
            USING tenant, wanted_locale, websearch_to_tsquery(text_search_config(wanted_locale), query), filters,
                  after, page_limit;
        END $$
        """
    )
    for statement in give_function(f"search_products({ARGUMENTS})", SEARCH, APP):
        op.execute(statement)
