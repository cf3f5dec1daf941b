"""The storefront's questions put to the write tables: what a good team would run that keeps no index table.

Every statement finds its page first and looks only for that page at what a hit shows, so that nothing is read for
rows that nobody sees. Each answers exactly as the index does, which the benchmark checks: the same hits in the same
order with the same columns.
"""

# One table's own work, stored and indexed: its words with their weights, and an order by date. What lies in several
# tables, such as a rank over title, vendor and SKUs or the lowest price, has to be put together by the question.
HELP = """
    ALTER TABLE product_translations
        ADD title_words tsvector GENERATED ALWAYS AS (setweight(to_tsvector('english', title), 'A')) STORED,
        ADD description_words tsvector
            GENERATED ALWAYS AS (setweight(to_tsvector('english', description), 'C')) STORED;
    ALTER TABLE products ADD words tsvector GENERATED ALWAYS AS (
        setweight(to_tsvector('english', coalesce(vendor, '') || ' ' || coalesce(product_type, '')), 'B')) STORED;
    ALTER TABLE variants ADD words tsvector
        GENERATED ALWAYS AS (setweight(to_tsvector('english', coalesce(sku, '')), 'B')) STORED;
    CREATE INDEX ON product_translations USING gin (title_words);
    CREATE INDEX ON product_translations USING gin (description_words);
    CREATE INDEX ON products USING gin (words);
    CREATE INDEX ON variants USING gin (words);
    CREATE INDEX ON products (tenant_id, published_at DESC, id DESC) WHERE status = 'active';
    CREATE INDEX ON products (tenant_id, product_type, published_at DESC, id DESC) WHERE status = 'active';
    CREATE AGGREGATE all_words (tsvector) (sfunc = tsvector_concat, stype = tsvector, initcond = '')
"""

_SHOWN = """
    SELECT p.id, t.handle, t.title, p.vendor, p.product_type, p.tags, price.min, price.max,
           coalesce(price.on_sale, false), p.published_at, p.version,
           jsonb_build_object(
               'description', t.description, 'rich_description', p.rich_description,
               'seo', p.seo || jsonb_build_object('title', t.meta_title, 'description', t.meta_description),
               'options', (SELECT coalesce(jsonb_agg(jsonb_build_object('name', o.name, 'choices', o.choices)
                                                     ORDER BY o.position), '[]')
                             FROM product_options AS o WHERE o.tenant_id = $1 AND o.product_id = p.id),
               'variant_count', (SELECT count(*) FROM variants AS v WHERE v.tenant_id = $1 AND v.product_id = p.id),
               'prices', coalesce(price.every, '{{}}')),
           page.key
      FROM ({page}) AS page
      JOIN products AS p ON p.tenant_id = $1 AND p.id = page.id
      JOIN product_translations AS t ON t.tenant_id = $1 AND t.product_id = p.id AND t.locale = 'en'
      JOIN tenants ON tenants.id = $1
     CROSS JOIN LATERAL (
           SELECT jsonb_object_agg(s.currency, to_jsonb(s) - 'currency') AS every,
                  max(s.min) FILTER (WHERE s.currency = tenants.default_currency) AS min,
                  max(s.max) FILTER (WHERE s.currency = tenants.default_currency) AS max,
                  bool_or(s.on_sale) FILTER (WHERE s.currency = tenants.default_currency) AS on_sale
             FROM (SELECT c.currency, min(c.amount) AS min, max(c.amount) AS max,
                          coalesce(bool_or(c.compare_at > c.amount), false) AS on_sale
                     FROM variants AS v JOIN prices AS c ON (c.tenant_id, c.variant_id) = (v.tenant_id, v.id)
                    WHERE v.tenant_id = $1 AND v.product_id = p.id GROUP BY c.currency) AS s) AS price
     ORDER BY page.key {direction}, page.id {direction}
"""
_IN_ENGLISH = """EXISTS (
    SELECT FROM product_translations AS t WHERE t.tenant_id = $1 AND t.product_id = p.id AND t.locale = 'en')"""
_WORDS = "websearch_to_tsquery('english', $2)"

# The UNION is right for one word; the words of a longer question may be spread over the tables.
BY_WORD = _SHOWN.format(
    direction="DESC",
    page=f"""
        SELECT p.id, ts_rank(t.title_words || p.words || skus.words || t.description_words, {_WORDS}) AS key
          FROM (SELECT product_id AS id FROM product_translations
                 WHERE tenant_id = $1 AND locale = 'en' AND (title_words @@ {_WORDS} OR description_words @@ {_WORDS})
                 UNION SELECT id FROM products WHERE tenant_id = $1 AND words @@ {_WORDS}
                 UNION SELECT product_id FROM variants WHERE tenant_id = $1 AND words @@ {_WORDS}) AS found
          JOIN products AS p ON p.tenant_id = $1 AND p.id = found.id AND p.status = 'active'
          JOIN product_translations AS t ON t.tenant_id = $1 AND t.product_id = p.id AND t.locale = 'en'
         CROSS JOIN LATERAL (SELECT all_words(v.words ORDER BY v.position, v.id) AS words FROM variants AS v
                              WHERE v.tenant_id = $1 AND v.product_id = p.id) AS skus
         ORDER BY key DESC, p.id DESC LIMIT 51""",
)
BY_DATE = _SHOWN.format(
    direction="DESC",
    page=f"""
        SELECT p.id, p.published_at AS key FROM products AS p
         WHERE p.tenant_id = $1 AND p.status = 'active' AND (p.published_at, p.id) < ($2, $3) AND {_IN_ENGLISH}
         ORDER BY p.published_at DESC, p.id DESC LIMIT 51""",
)
BY_PRICE = _SHOWN.format(
    direction="ASC",
    page=f"""
        SELECT p.id, price.min AS key FROM products AS p JOIN tenants ON tenants.id = $1
         CROSS JOIN LATERAL (
               SELECT min(c.amount)
                 FROM variants AS v JOIN prices AS c ON (c.tenant_id, c.variant_id) = (v.tenant_id, v.id)
                WHERE v.tenant_id = $1 AND v.product_id = p.id AND c.currency = tenants.default_currency) AS price
         WHERE p.tenant_id = $1 AND p.status = 'active' AND p.product_type = $2 AND price.min <= $3 AND {_IN_ENGLISH}
         ORDER BY price.min, p.id LIMIT 51""",
)
