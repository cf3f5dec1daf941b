"""The SQL of runs: what starts them, and the log of attempts."""

from collections.abc import Collection, Mapping, Sequence
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import Row, text
from sqlalchemy.ext.asyncio import AsyncEngine

from rustok.db.engine import to_json
from rustok.db.pages import Listing, Page
from rustok.db.transaction import Transaction, run_alone
from rustok.db.unit_of_work import UnitOfWork

_ATTEMPT = """id, run_id, attempt, script_id, script_version, event_type, event_id, depth, outcome, result, error,
    effects, logs, usage, correlation_id, started_at, finished_at"""

_LISTENING = text(
    """
    SELECT s.tenant_id, s.id, s.triggers, s.active_since, l.limits ->> 'runs_a_minute' IS NOT NULL AS has_quota
      FROM scripts AS s LEFT JOIN script_limits AS l ON l.tenant_id = s.tenant_id
     WHERE s.tenant_id = ANY (CAST(:tenant_ids AS uuid[])) AND s.status = 'active' AND s.listens
     ORDER BY s.tenant_id, s.name
    """
)
_DEPTHS = text(
    """
    SELECT run_id, max(depth) AS depth FROM script_attempts
     WHERE tenant_id = ANY (CAST(:tenant_ids AS uuid[])) AND run_id = ANY (CAST(:run_ids AS uuid[]))
     GROUP BY run_id
    """
)
# Each row of a tenant with a quota moves its clock by what its runs take of a minute; what is ahead of now, beyond
# a minute's worth, waits (the generic cell rate algorithm).
_BOOK = text(
    """
    UPDATE script_limits AS l
       SET booked_until = greatest(l.booked_until, now())
                          + b.runs * interval '1 minute' / CAST(l.limits ->> 'runs_a_minute' AS integer)
      FROM json_to_recordset(CAST(:booked AS json)) AS b (tenant_id uuid, runs integer)
     WHERE l.tenant_id = b.tenant_id AND l.limits ->> 'runs_a_minute' IS NOT NULL
    RETURNING l.tenant_id, l.booked_until - interval '1 minute' AS last_due_at,
              interval '1 minute' / CAST(l.limits ->> 'runs_a_minute' AS integer) AS apart
    """
)
_LOAD = text(
    """
    SELECT s.id, s.name, s.status, s.owner, s.grants, s.hosts, s.secrets, s.active_version, s.canary_version,
           s.canary_percent, l.limits, t.scripts_version
      FROM scripts AS s
      JOIN tenants AS t ON t.id = s.tenant_id
      LEFT JOIN script_limits AS l ON l.tenant_id = s.tenant_id
     WHERE s.tenant_id = :tenant_id AND s.id = :id
    """
)
_CODE = text(
    """
    SELECT v.code, v.sha256, v.state, b.bytecode
      FROM script_versions AS v
      LEFT JOIN script_bytecode AS b ON b.tenant_id = v.tenant_id AND b.sha256 = v.sha256
                AND b.policy_version = :policy_version AND b.magic = :magic
     WHERE v.tenant_id = :tenant_id AND v.script_id = :script_id AND v.number = :number
    """
)
_KEEP_BYTECODE = text(
    """
    INSERT INTO script_bytecode (tenant_id, sha256, policy_version, magic, bytecode, created_at)
    VALUES (:tenant_id, :sha256, :policy_version, :magic, :bytecode, now())
        ON CONFLICT DO NOTHING
    """
)
_INSERT_ATTEMPTS = f"""
    INSERT INTO script_attempts (tenant_id, {_ATTEMPT})
    SELECT tenant_id, {_ATTEMPT}
      FROM json_to_recordset(CAST(:attempts AS json)) AS a (
           tenant_id uuid, id uuid, run_id uuid, attempt integer, script_id uuid, script_version integer,
           event_type text, event_id uuid, depth smallint, outcome text, result jsonb, error jsonb, effects jsonb,
           logs jsonb, usage jsonb, correlation_id uuid, started_at timestamptz, finished_at timestamptz)
"""
_INSERT = text(_INSERT_ATTEMPTS)
_INSERT_AND_FORGIVE = text(
    f"""
    WITH kept AS ({_INSERT_ATTEMPTS} RETURNING script_id)
    UPDATE scripts SET failures = 0
     WHERE tenant_id = :tenant_id AND id IN (SELECT script_id FROM kept) AND failures > 0
    """
)
_LIST = Listing(
    "alloy.runs",
    f"""
    SELECT {_ATTEMPT} FROM script_attempts
     WHERE tenant_id = :tenant_id AND script_id = :script_id AND (CAST(:outcome AS text) IS NULL OR outcome = :outcome)
    """,
    key="id",
    key_type="uuid",
    descending=True,
)
_LATEST = text(f"SELECT {_ATTEMPT} FROM script_attempts WHERE tenant_id = :tenant_id ORDER BY id DESC LIMIT :limit")
_OF_RUN = text(f"SELECT {_ATTEMPT} FROM script_attempts WHERE tenant_id = :tenant_id AND run_id = :run_id ORDER BY id")
_PURGE = text(
    """
    DELETE FROM script_attempts WHERE (tenant_id, id) IN (
        SELECT tenant_id, id FROM script_attempts WHERE finished_at < now() - make_interval(days => :days)
         ORDER BY finished_at LIMIT :limit)
    """
)
# The first condition is asked again of a value that was set anew meanwhile.
_PURGE_VALUES = text(
    """
    DELETE FROM script_values WHERE expires_at < now() AND (tenant_id, script_id, key) IN (
        SELECT tenant_id, script_id, key FROM script_values WHERE expires_at < now()
         ORDER BY expires_at LIMIT :limit)
    """
)
# Versions with the same code share it. One that is pushed at this moment is compiled again at its first run.
_PURGE_BYTECODE = text(
    """
    DELETE FROM script_bytecode WHERE (tenant_id, sha256) IN (
        SELECT tenant_id, sha256 FROM script_bytecode AS b
         WHERE NOT EXISTS (SELECT FROM script_versions AS v WHERE (v.tenant_id, v.sha256) = (b.tenant_id, b.sha256))
         LIMIT :limit)
    """
)


async def listening_scripts(transaction: Transaction, tenant_ids: Collection[UUID]) -> Sequence[Row[Any]]:
    """Return the active scripts of these tenants that events start."""
    return (await transaction.execute(_LISTENING, {"tenant_ids": list(tenant_ids)})).all()


async def depths(transaction: Transaction, tenant_ids: Collection[UUID], run_ids: Collection[UUID]) -> dict[UUID, int]:
    """Return how deep in a chain of scripts these runs were."""
    rows = await transaction.execute(_DEPTHS, {"tenant_ids": list(tenant_ids), "run_ids": list(run_ids)})
    return {row.run_id: row.depth for row in rows}


async def book_runs(transaction: UnitOfWork | Transaction, runs: Mapping[UUID, int]) -> dict[UUID, list[datetime]]:
    """Book so many runs of each tenant, and return when each of them may start, for tenants with a quota."""
    booked = [{"tenant_id": tenant_id, "runs": count} for tenant_id, count in sorted(runs.items())]
    rows = await transaction.execute(_BOOK, {"booked": to_json(booked)})
    return {
        row.tenant_id: [row.last_due_at - place * row.apart for place in reversed(range(runs[row.tenant_id]))]
        for row in rows
    }


async def load_script(engine: AsyncEngine, tenant_id: UUID, script_id: UUID) -> Row[Any] | None:
    """Return what a run has to know of its script, as the role system; it holds while `scripts_version` does.

    Triggers raise that (m20261126_tenants_002): whatever is read here besides must be among their columns.
    """
    return (await run_alone(engine, _LOAD, {"tenant_id": tenant_id, "id": script_id})).one_or_none()


async def load_code(
    engine: AsyncEngine, tenant_id: UUID, script_id: UUID, number: int, fingerprint: tuple[str, str]
) -> Row[Any] | None:
    """Return a version with what was compiled of it for this policy and Python, as the role system."""
    policy_version, magic = fingerprint
    values = {"tenant_id": tenant_id, "script_id": script_id, "number": number}
    return (await run_alone(engine, _CODE, {**values, "policy_version": policy_version, "magic": magic})).one_or_none()


async def keep_bytecode(
    engine: AsyncEngine, tenant_id: UUID, sha256: str, fingerprint: tuple[str, str], bytecode: bytes
) -> None:
    """Keep what was compiled for everybody who has this source, this policy and this Python, as the role system."""
    policy_version, magic = fingerprint
    values = {"tenant_id": tenant_id, "sha256": sha256, "policy_version": policy_version, "magic": magic}
    await run_alone(engine, _KEEP_BYTECODE, {**values, "bytecode": bytecode})


async def insert_attempts(transaction: UnitOfWork | Transaction, attempts: Sequence[Mapping[str, Any]]) -> None:
    await transaction.execute(_INSERT, {"attempts": to_json(attempts)})


async def insert_successes(uow: UnitOfWork, attempts: Sequence[Mapping[str, Any]]) -> None:
    """Keep attempts that succeeded: failures of their scripts in a row are counted anew."""
    await uow.execute(_INSERT_AND_FORGIVE, {"tenant_id": uow.tenant_id, "attempts": to_json(attempts)})


async def list_attempts(uow: UnitOfWork, script_id: UUID, outcome: str | None, cursor: str | None, limit: int) -> Page:
    return await _LIST.page(uow, {"script_id": script_id, "outcome": outcome}, cursor, limit)


async def latest_attempts(uow: UnitOfWork, limit: int) -> Sequence[Row[Any]]:
    return (await uow.execute(_LATEST, {"tenant_id": uow.tenant_id, "limit": limit})).all()


async def attempts_of(uow: UnitOfWork, run_id: UUID) -> Sequence[Row[Any]]:
    return (await uow.execute(_OF_RUN, {"tenant_id": uow.tenant_id, "run_id": run_id})).all()


async def purge(engine: AsyncEngine, days: int, batch: int = 5_000) -> None:
    """Forget attempts older than this, values that have expired, and bytecode of code that no version has any more.

    That is done in batches, each on its own.
    """
    for statement, values in ((_PURGE, {"days": days}), (_PURGE_VALUES, {}), (_PURGE_BYTECODE, {})):
        while (await run_alone(engine, statement, {**values, "limit": batch})).rowcount >= batch:
            pass
