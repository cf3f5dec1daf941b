"""A consumer that appends a row for every event it is given: doing it twice shows, which an index would hide."""

import os
from collections.abc import Sequence
from uuid import UUID

import asyncpg
from sqlalchemy import text

from rustok.db.engine import to_json
from rustok.db.rls import SYSTEM, protect
from rustok.db.transaction import Transaction
from rustok.events.consumer import AggregatesFailed
from rustok.kernel.event import LoggedEvent
from rustok.kernel.module import Module, ModuleKind, Subscription
from rustok.testing import Database

POISON_EVERY = "CHAOS_POISON_EVERY"
"""Environment variable: the witness cannot digest one aggregate in so many; not set: it digests all."""

_CREATE = f"""
    CREATE TABLE witness_effects (
        id bigserial PRIMARY KEY,
        event_id uuid NOT NULL,
        tenant_id uuid NOT NULL,
        aggregate_id uuid NOT NULL,
        aggregate_version bigint NOT NULL,
        made_at timestamptz NOT NULL DEFAULT clock_timestamp()
    );
    CREATE INDEX ON witness_effects (event_id);
    {"; ".join(protect("witness_effects", "SELECT"))};
    GRANT USAGE ON SEQUENCE witness_effects_id_seq TO {SYSTEM};
"""
_APPEND = text(
    """
    INSERT INTO witness_effects (event_id, tenant_id, aggregate_id, aggregate_version)
    SELECT event_id, tenant_id, aggregate_id, aggregate_version
      FROM json_to_recordset(CAST(:effects AS json)) AS effect (
           event_id uuid, tenant_id uuid, aggregate_id uuid, aggregate_version bigint, place bigint)
     ORDER BY place
    """
)


class Indigestible(Exception):
    """What the witness says of a poisoned aggregate."""


async def create_witness(database: Database) -> None:
    """Create the witness's table. It belongs to no release, so it has no migration."""
    admin = await asyncpg.connect(database.admin_url)
    try:
        await admin.execute(_CREATE)
    finally:
        await admin.close()


def is_poisoned(aggregate_id: UUID, every: int) -> bool:
    """Tell whether the witness refuses this aggregate, always or never, when it refuses one in *every*."""
    return every > 0 and aggregate_id.int % every == 0


async def append(transaction: Transaction, events: Sequence[LoggedEvent]) -> None:
    """Append an effect for each event, in their order."""
    every = int(os.environ.get(POISON_EVERY, "0"))
    envelopes = [event.envelope for event in events]
    if poisoned := {e.key: Indigestible("poison") for e in envelopes if is_poisoned(e.aggregate_id, every)}:
        raise AggregatesFailed(poisoned)
    effects = [
        {
            "place": place,
            "event_id": envelope.event_id,
            "tenant_id": envelope.tenant_id,
            "aggregate_id": envelope.aggregate_id,
            "aggregate_version": envelope.aggregate_version,
        }
        for place, envelope in enumerate(envelopes)
    ]
    await transaction.execute(_APPEND, {"effects": to_json(effects)})


WITNESS = Module(
    name="witness",
    kind=ModuleKind.DOMAIN,
    summary="Counts the effects of each event on a product.",
    depends_on=("commerce",),
    subscriptions=(
        Subscription(
            name="witness.effects", summary="One row an event", subscribes=("commerce.product.*",), handle=append
        ),
    ),
    tables=("witness_effects",),
)
