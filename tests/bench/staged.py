"""Events in the outbox and in the log, put there by one statement: what the sequencer and consumers have to move."""

from uuid import UUID

import asyncpg

STAGED_TENANT = UUID("01890a5d-ac96-774b-bcce-b302099a8057")
_FACTS = """'{"locales": ["de", "en"], "variants": 1}'::jsonb"""


async def stage_events(admin: asyncpg.Connection, count: int) -> None:
    """Put *count* events of as many aggregates into the outbox, as if they had just been committed."""
    await admin.execute(
        f"""
        INSERT INTO outbox (shard, event_id, type, schema_version, tenant_id, aggregate_type, aggregate_id,
                            aggregate_version, correlation_id, causation_id, actor, occurred_at, payload)
        SELECT n % 16, uuidv7(), 'commerce.product.created', 1, '{STAGED_TENANT}', 'product',
               uuidv7(), 1, uuidv7(), uuidv7(), 'apikey:{STAGED_TENANT}', now(), {_FACTS}
          FROM generate_series(1, {count}) AS n
        """
    )


async def log_products(admin: asyncpg.Connection, tenant_id: UUID) -> None:
    """Put an event for each product that the log does not know into it, evenly over the shards."""
    await admin.execute(
        f"""
        INSERT INTO event_log (position, shard, event_id, type, schema_version, tenant_id, aggregate_type, aggregate_id,
                               aggregate_version, correlation_id, causation_id, actor, occurred_at, payload)
        SELECT (SELECT coalesce(max(position), 0) FROM event_log) + row_number() OVER (ORDER BY id),
               row_number() OVER (ORDER BY id) % 16, uuidv7(),
               'commerce.product.created', 1, tenant_id, 'product', id, version, uuidv7(), uuidv7(), 'bench:1', now(),
               {_FACTS}
          FROM products AS p
         WHERE tenant_id = $1 AND NOT EXISTS (
               SELECT FROM event_log AS e WHERE (e.tenant_id, e.aggregate_id) = (p.tenant_id, p.id))
        """,
        tenant_id,
    )
