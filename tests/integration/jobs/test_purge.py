"""What has ended long ago is forgotten, in batches: each holds its locks, and its snapshot, for a moment."""

import asyncio
from collections.abc import Sequence
from uuid import UUID

from sqlalchemy import text

from rustok.db.transaction import begin, run_alone
from rustok.jobs import NewJob
from rustok.jobs.history import keep_history
from rustok.modules.alloy import purge
from tests.integration.jobs.ledger import COUNT, Ledger
from tests.waiting import eventually_async

_AGE = text(
    """
    UPDATE finished_jobs
       SET finished_at = now() - interval '40 days' + interval '1 minute' * CAST(args ->> 'to' AS integer)
     WHERE CAST(args ->> 'to' AS integer) < 5
    """
)
_KEPT_JOBS = text("SELECT id FROM finished_jobs ORDER BY id")
_HOLD = text("SELECT FROM finished_jobs WHERE id = :id FOR UPDATE")
_OLD_ATTEMPTS = text(
    """
    INSERT INTO script_attempts (tenant_id, id, run_id, attempt, script_id, event_type, event_id, depth, outcome,
                                 effects, logs, usage, correlation_id, started_at, finished_at)
    SELECT :tenant_id, gen_random_uuid(), gen_random_uuid(), number, gen_random_uuid(), 'alloy.manual',
           gen_random_uuid(), 0, 'succeeded', '[]', '[]', '{}', gen_random_uuid(), now(),
           now() - interval '40 days' * least(5 - number, 1)
      FROM generate_series(0, 5) AS number
    """
)
_OLD_VALUES = text(
    """
    INSERT INTO script_values (tenant_id, script_id, key, value, version, expires_at, updated_at)
    SELECT :tenant_id, :script_id, 'key-' || number, '1', 1,
           now() - interval '1 day' * least(5 - number, 1) + interval '1 hour', now()
      FROM generate_series(0, 5) AS number
    """
)
_VERSION = text(
    """
    INSERT INTO script_versions (tenant_id, script_id, number, code, sha256, author, message, state, created_at)
    VALUES (:tenant_id, :script_id, 1, '', 'kept', 'user:ann', '', 'ready', now())
    """
)
_BYTECODE = text(
    """
    INSERT INTO script_bytecode (tenant_id, sha256, policy_version, magic, bytecode, created_at)
    SELECT :tenant_id, sha256, policy, 'magic', '', now()
      FROM unnest(ARRAY['deleted-1', 'deleted-2', 'deleted-3', 'kept']) AS sha256, unnest(ARRAY['1', '2']) AS policy
    """
)
_KEPT_BYTECODE = text("SELECT sha256, policy_version FROM script_bytecode WHERE tenant_id = :tenant_id ORDER BY 2")
_KEPT_ATTEMPTS = text("SELECT attempt FROM script_attempts WHERE tenant_id = :tenant_id")
_KEPT_VALUES = text("SELECT key FROM script_values WHERE tenant_id = :tenant_id")


async def test_jobs_that_ended_long_ago_are_forgotten(ledger: Ledger) -> None:
    """All of them, however many batches that takes, and no other."""
    ids = await ledger.add(*[NewJob(kind=COUNT, args={"to": number}) for number in range(6)])
    for job in await ledger.grant(ids):
        await ledger.count(job)
    await run_alone(ledger.platform.system_engine, _AGE)

    await keep_history(ledger.platform.system_engine, 30, batch=2)

    assert await _kept(ledger, ids[5:])


async def test_attempts_and_values_of_scripts_are_forgotten(ledger: Ledger) -> None:
    """The old attempts and the expired values, however many batches that takes."""
    engine, tenant = ledger.platform.system_engine, {"tenant_id": ledger.tenant_id}
    script = await ledger.platform.run(
        "alloy.scripts.create", ledger.tenant_id, name="sums", triggers=[{"kind": "api"}], grants=[]
    )
    await run_alone(engine, _OLD_ATTEMPTS, tenant)
    await run_alone(engine, _OLD_VALUES, {**tenant, "script_id": script.id})

    await purge(engine, 30, batch=2)

    attempts = (await run_alone(engine, _KEPT_ATTEMPTS, tenant)).scalars().all()
    values = (await run_alone(engine, _KEPT_VALUES, tenant)).scalars().all()
    assert (attempts, values) == ([5], ["key-5"])


async def test_bytecode_of_scripts_that_were_deleted_is_forgotten(ledger: Ledger) -> None:
    """In all its compilations; what a version of the same tenant still needs stays."""
    engine = ledger.platform.system_engine
    script = await ledger.platform.run("alloy.scripts.create", ledger.tenant_id, name="s", triggers=[], grants=[])
    await run_alone(engine, _VERSION, {"tenant_id": ledger.tenant_id, "script_id": script.id})
    for tenant_id in (ledger.tenant_id, ledger.other_tenant_id):
        await run_alone(engine, _BYTECODE, {"tenant_id": tenant_id})

    await purge(engine, 30, batch=2)

    kept = [
        (await run_alone(engine, _KEPT_BYTECODE, {"tenant_id": tenant_id})).all()
        for tenant_id in (ledger.tenant_id, ledger.other_tenant_id)
    ]
    assert kept == [[("kept", "1"), ("kept", "2")], []]


async def test_a_row_that_somebody_holds_delays_its_batch_alone(ledger: Ledger) -> None:
    """The batches before it are committed: an hour's work is not lost with the last row of it."""
    ids = await ledger.add(*[NewJob(kind=COUNT, args={"to": number}) for number in range(6)])
    for job in await ledger.grant(ids):
        await ledger.count(job)
    await run_alone(ledger.platform.system_engine, _AGE)

    async with begin(ledger.platform.system_engine, "BEGIN") as (holder, _):
        await holder.execute(_HOLD, {"id": ids[4]})
        purging = asyncio.create_task(keep_history(ledger.platform.system_engine, 30, batch=2))
        await eventually_async(lambda: _kept(ledger, ids[4:]))

    await purging
    assert await _kept(ledger, ids[5:])


async def _kept(ledger: Ledger, ids: Sequence[UUID]) -> bool:
    return (await run_alone(ledger.platform.system_engine, _KEPT_JOBS)).scalars().all() == ids
