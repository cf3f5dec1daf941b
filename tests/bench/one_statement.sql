\set n random(1, 1000000000000000)
WITH product AS (
    INSERT INTO products (tenant_id, id, status, vendor, product_type, tags, version, created_at, updated_at)
    VALUES (:tenant::uuid, uuidv7(), 'draft', 'Acme', 'bicycle', '{city,steel}', 1, now(), now())
    RETURNING id
), texts AS (
    INSERT INTO product_translations (tenant_id, product_id, locale, title, handle, description)
    SELECT :tenant::uuid, id, locale, title || :n, handle || :n, :description
      FROM product, (VALUES ('en', 'City bicycle ', 'city-bicycle-'), ('de', 'Stadtrad ', 'stadtrad-'))
           AS t (locale, title, handle)
), variant AS (
    INSERT INTO variants (tenant_id, id, product_id, position, sku, inventory_policy)
    SELECT :tenant::uuid, uuidv7(), id, 1, 'PGBENCH-' || :n, 'deny' FROM product
    RETURNING id
), price AS (
    INSERT INTO prices (tenant_id, variant_id, currency, amount)
    SELECT :tenant::uuid, id, 'EUR', 49900 FROM variant
), outbox AS (
    INSERT INTO outbox (shard, event_id, type, schema_version, tenant_id, aggregate_type, aggregate_id,
                        aggregate_version, correlation_id, causation_id, actor, occurred_at, payload)
    SELECT 1, uuidv7(), 'commerce.product.created', 1, :tenant::uuid, 'product', id, 1, id, id, 'pgbench:1', now(),
           '{"locales": ["de", "en"], "variants": 1}'
      FROM product
)
SELECT;
