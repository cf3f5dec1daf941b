"""The SQL of the audit log."""

from collections.abc import Sequence
from typing import Any
from uuid import UUID

from sqlalchemy import Row, text
from sqlalchemy.ext.asyncio import AsyncEngine

from rustok.db.engine import to_json
from rustok.db.pages import Listing
from rustok.db.transaction import Transaction, run_alone
from rustok.kernel.event import Envelope
from rustok.modules.access.audit_chain import AuditRow

# Text that does not depend on the settings of a session, and keeps every digit: what a row's hash is made of.
_OCCURRED_AT = "CAST(extract(epoch FROM {0}.occurred_at) AS text) AS occurred_at"
_PAYLOAD = "CAST({0}.payload AS text) AS payload"
# One writer at a time, whatever its tenants, so that two cannot wait for each other. What a head says must not be lost
# in a crash, as other effects of consumers may be: somebody may have it as an anchor.
_LOCK = text("SELECT set_config('synchronous_commit', 'on', true), pg_advisory_xact_lock(hashtext('access.audit'))")
_PREPARE = text(
    f"""
    SELECT e.place, h.number, h.hash, {_OCCURRED_AT.format("e")}, {_PAYLOAD.format("e")}
      FROM json_to_recordset(CAST(:events AS json)) AS e (
           place integer, tenant_id uuid, event_id uuid, occurred_at timestamptz, payload jsonb)
      LEFT JOIN LATERAL (
           SELECT number, hash FROM audit_log AS a WHERE a.tenant_id = e.tenant_id ORDER BY number DESC LIMIT 1
           ) AS h ON true
     WHERE NOT EXISTS (SELECT FROM audit_log AS a WHERE a.tenant_id = e.tenant_id AND a.event_id = e.event_id)
     ORDER BY e.place
    """
)
_APPEND = text(
    """
    INSERT INTO audit_log (tenant_id, number, event_id, type, actor, aggregate_type, aggregate_id, correlation_id,
                           causation_id, occurred_at, payload, previous_hash, hash)
    SELECT tenant_id, number, event_id, type, actor, aggregate_type, aggregate_id, correlation_id, causation_id,
           occurred_at, CAST(payload AS jsonb), decode(previous_hash, 'hex'), decode(hash, 'hex')
      FROM json_to_recordset(CAST(:rows AS json)) AS r (
           tenant_id uuid, number bigint, event_id uuid, type text, actor text, aggregate_type text, aggregate_id uuid,
           correlation_id uuid, causation_id uuid, occurred_at timestamptz, payload text, previous_hash text, hash text)
    """
)
_PAGE = text(
    f"""
    SELECT a.tenant_id, a.number, a.event_id, a.type, a.actor, a.aggregate_type, a.aggregate_id, a.correlation_id,
           a.causation_id, {_OCCURRED_AT.format("a")}, {_PAYLOAD.format("a")}, a.previous_hash, a.hash
      FROM audit_log AS a
     WHERE a.tenant_id = :tenant_id AND (a.number, a.event_id) > (:number, :event_id)
     ORDER BY a.number, a.event_id LIMIT :limit
    """
)
_HEAD = text("SELECT number, hash FROM audit_log WHERE tenant_id = :tenant_id ORDER BY number DESC LIMIT 1")
LIST = Listing(
    "access.audit",
    """
    SELECT number, event_id, type, actor, aggregate_type, aggregate_id, correlation_id, causation_id, occurred_at,
           payload, encode(hash, 'hex') AS hash
      FROM audit_log
     WHERE tenant_id = :tenant_id AND (type = :type OR starts_with(type, :prefix))
       AND (CAST(:actor AS text) IS NULL OR actor = :actor)
    """,
    key="number",
    key_type="bigint",
    descending=True,
)
_BEFORE_ALL = (-(2**63), UUID(int=0))


async def lock_chains(transaction: Transaction) -> None:
    """Keep others from appending, until this transaction has ended; from then on its rows are on disk."""
    await transaction.execute(_LOCK)


async def prepare(transaction: Transaction, events: Sequence[Envelope]) -> Sequence[Row[Any]]:
    """Return those of *events* that are in no chain yet, by their place, each with the head of its tenant's chain.

    What has several forms comes as the text that an `AuditRow` has.
    """
    asked = [
        {
            "place": place,
            "tenant_id": event.tenant_id,
            "event_id": event.event_id,
            "occurred_at": event.occurred_at,
            "payload": event.payload,
        }
        for place, event in enumerate(events)
    ]
    return (await transaction.execute(_PREPARE, {"events": to_json(asked)})).all()


async def append(transaction: Transaction, rows: Sequence[tuple[AuditRow, Envelope]]) -> None:
    """Insert rows, each with its event."""
    values = [
        {
            **row._asdict(),
            "occurred_at": event.occurred_at,
            "previous_hash": row.previous_hash.hex(),
            "hash": row.hash.hex(),
        }
        for row, event in rows
    ]
    await transaction.execute(_APPEND, {"rows": to_json(values)})


async def find_head(engine: AsyncEngine, tenant_id: UUID) -> Row[Any] | None:
    return (await run_alone(engine, _HEAD, {"tenant_id": tenant_id})).one_or_none()


async def read_rows(engine: AsyncEngine, tenant_id: UUID, after: AuditRow | None, limit: int) -> list[AuditRow]:
    """Return up to *limit* rows behind *after*, None: from the first on. Numbers that are no chain's come too."""
    number, event_id = (after.number, after.event_id) if after else _BEFORE_ALL
    values = {"tenant_id": tenant_id, "number": number, "event_id": event_id, "limit": limit}
    return [AuditRow(*row) for row in await run_alone(engine, _PAGE, values)]
