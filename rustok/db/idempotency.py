"""The answer to a write, kept with the rows it answers for, so that a retry gets the same answer.

Scope: tenant, principal, method and route (draft-ietf-httpapi-idempotency-key-header; kept 24 h).
"""

import hashlib
from dataclasses import dataclass

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncEngine

from rustok.db.unit_of_work import UnitOfWork
from rustok.kernel.errors import Busy, InvalidInput

KEPT_HOURS = 24

# Not waiting for the lock is the point: the duplicate is told at once that the first is still running. A
# statement of its own, so that the look that follows sees what the last holder of the lock has committed.
_LOCK = text("SELECT pg_try_advisory_xact_lock(:lock)")
_FIND = text(
    f"""
    SELECT request_hash, result FROM idempotency_keys
     WHERE tenant_id = :tenant_id AND scope_hash = :scope_hash
       AND created_at > CAST(:now AS timestamptz) - interval '{KEPT_HOURS} hours'
    """
)
# A row that is there already has outlived its time: the look has passed it over.
_KEEP = text(
    """
    INSERT INTO idempotency_keys (tenant_id, scope_hash, request_hash, result, created_at)
    VALUES (:tenant_id, :scope_hash, :request_hash, :result, :now)
        ON CONFLICT (tenant_id, scope_hash)
        DO UPDATE SET request_hash = excluded.request_hash, result = excluded.result,
                      created_at = excluded.created_at
    """
)
_PURGE = text(
    f"""
    DELETE FROM idempotency_keys WHERE (tenant_id, scope_hash) IN (
        SELECT tenant_id, scope_hash FROM idempotency_keys
         WHERE created_at < now() - interval '{KEPT_HOURS} hours' LIMIT :limit)
    """
)


class IdempotencyKeyReused(InvalidInput):
    """The key was used for another request."""

    code = "idempotency_key_reused"


class RequestInProgress(Busy):
    """A request with this key is running now."""

    code = "request_in_progress"


@dataclass(frozen=True, slots=True)
class IdempotencyKey:
    """A client's key: `scope` is principal, method and route, `request` the body's canonical bytes."""

    key: str
    scope: str
    request: bytes

    @property
    def scope_hash(self) -> bytes:
        return hashlib.sha256(f"{self.scope}\0{self.key}".encode()).digest()

    @property
    def request_hash(self) -> bytes:
        return hashlib.sha256(self.request).digest()


async def find_answer(uow: UnitOfWork, key: IdempotencyKey) -> str | None:
    """Return the kept result of an earlier request with *key*; None for the first, which now holds the key.

    Raises:
        IdempotencyKeyReused: the earlier request was another one.
        RequestInProgress: the earlier request has not finished.

    """
    scope_hash = key.scope_hash
    lock = int.from_bytes(hashlib.sha256(uow.tenant_id.bytes + scope_hash).digest()[:8], signed=True)
    if not (await uow.execute(_LOCK, {"lock": lock})).scalar_one():
        raise RequestInProgress("A request with this Idempotency-Key is still running: try again.")
    row = (
        await uow.execute(_FIND, {"tenant_id": uow.tenant_id, "scope_hash": scope_hash, "now": uow.now})
    ).one_or_none()
    if row is None:
        return None
    if row.request_hash != key.request_hash:
        raise IdempotencyKeyReused("This Idempotency-Key was used for another request: make a new one.")
    return str(row.result)


async def keep_answer(uow: UnitOfWork, key: IdempotencyKey, result: str) -> None:
    """Keep *result* in the transaction that it tells about."""
    values = {"tenant_id": uow.tenant_id, "scope_hash": key.scope_hash, "request_hash": key.request_hash}
    await uow.execute(_KEEP, {**values, "result": result, "now": uow.now})


async def purge_answers(system_engine: AsyncEngine, batch: int = 5_000) -> int:
    """Delete the answers that have outlived their time, of every tenant, in batches; return how many."""
    deleted = 0
    while True:
        async with system_engine.begin() as connection:
            count = (await connection.execute(_PURGE, {"limit": batch})).rowcount
        deleted += count
        if count < batch:
            return deleted
