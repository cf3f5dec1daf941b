"""The answer to a write, kept with the rows it answers for, so that a retry gets the same answer.

Scope: tenant, principal, method and route (draft-ietf-httpapi-idempotency-key-header; kept 24 h).
"""

import base64
import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, NamedTuple
from uuid import UUID

from cryptography.fernet import Fernet
from sqlalchemy import Row, text
from sqlalchemy.ext.asyncio import AsyncEngine

from rustok.db.transaction import run_alone
from rustok.db.unit_of_work import SetInsert, UnitOfWork
from rustok.kernel.errors import Busy, InvalidInput, RustokError

KEPT_HOURS = 24

# Not waiting for the lock is the point: the duplicate is told at once that the first is still running. A
# statement of its own, so that the look that follows sees what the last holder of the lock has committed.
_LOCK = text("SELECT lock, pg_try_advisory_xact_lock(lock) AS is_held FROM unnest(CAST(:locks AS bigint[])) AS lock")
_FIND = text(
    f"""
    SELECT scope_hash, request_hash, result, token FROM idempotency_keys
     WHERE tenant_id = :tenant_id AND scope_hash = ANY (CAST(:scope_hashes AS bytea[]))
       AND created_at > CAST(:now AS timestamptz) - interval '{KEPT_HOURS} hours'
    """
)
# A row that is there already has outlived its time: the look has passed it over.
_KEEP = SetInsert(
    text(
        """
        INSERT INTO idempotency_keys (tenant_id, scope_hash, request_hash, result, token, created_at)
        SELECT CAST(:tenant_id AS uuid), decode(scope_hash, 'hex'), decode(request_hash, 'hex'), result, token,
               CAST(:now AS timestamptz)
          FROM json_to_recordset(CAST(:answers AS json))
               AS answer (scope_hash text, request_hash text, result text, token text)
            ON CONFLICT (tenant_id, scope_hash)
            DO UPDATE SET request_hash = excluded.request_hash, result = excluded.result, token = excluded.token,
                          created_at = excluded.created_at
        """
    )
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


@dataclass(frozen=True)
class IdempotencyKey:
    """A client's key: `scope` is principal, method and route, `request` the body's canonical bytes.

    `item`: the place in a batch that has the key. Its items have an answer each, and one lock. `is_secret`: the
    request or its answer holds a secret, and who reads the database learns nothing of either.
    """

    key: str
    scope: str
    request: bytes
    item: int | None = None
    is_secret: bool = False

    @cached_property
    def scope_hash(self) -> bytes:
        """What the answer is kept by."""
        if self.item is None:
            return self.lock_hash
        return hashlib.sha256(self.lock_hash + str(self.item).encode()).digest()

    @cached_property
    def lock_hash(self) -> bytes:
        """What is locked while the request runs."""
        return hashlib.sha256(f"{self.scope}\0{self.key}".encode()).digest()

    def of_item(self, item: int) -> "IdempotencyKey":
        """Return the key of one item of the batch that has this one."""
        return IdempotencyKey(self.key, self.scope, self.request_hash, item, self.is_secret)

    @cached_property
    def request_hash(self) -> bytes:
        return hashlib.sha256(self.request).digest()


class KeptAnswer(NamedTuple):
    """What an earlier request was answered. It has no `token` if a release without tokens kept it."""

    result: str
    token: str | None


async def find_answers(uow: UnitOfWork, keys: Sequence[IdempotencyKey | None]) -> list[KeptAnswer | RustokError | None]:
    """Return what there is for each key: the kept answer to an earlier request, or why this one is refused.

    None for a first request, which now holds its key, and for one without a key. Refused with
    IdempotencyKeyReused is another request than the earlier one; with RequestInProgress one that came while the
    earlier one runs, or with it in *keys*.
    """
    locks = {key.scope_hash: _lock(uow.tenant_id, key.lock_hash) for key in keys if key is not None}
    if not locks:
        return [None] * len(keys)
    held = {row.lock for row in await uow.execute(_LOCK, {"locks": list(set(locks.values()))}) if row.is_held}
    wanted = {"tenant_id": uow.tenant_id, "scope_hashes": list(locks), "now": uow.now}
    kept = {row.scope_hash: row for row in await uow.execute(_FIND, wanted)}
    free = {scope_hash for scope_hash, lock in locks.items() if lock in held}
    found: list[KeptAnswer | RustokError | None] = []
    for key in keys:
        if key is None:
            found.append(None)
        elif key.scope_hash not in free:
            found.append(RequestInProgress("A request with this Idempotency-Key is still running: try again."))
        elif row := kept.get(key.scope_hash):
            found.append(_answer(uow, key, row))
        else:
            free.remove(key.scope_hash)
            found.append(None)
    return found


def keep_answer(uow: UnitOfWork, key: IdempotencyKey, answer: KeptAnswer) -> None:
    """Keep *answer* in the transaction that it tells about."""
    hashes = {"scope_hash": key.scope_hash.hex(), "request_hash": _request_hash(uow, key).hex()}
    result = _seal(uow, key).encrypt(answer.result.encode()).decode() if key.is_secret else answer.result
    uow.insert(_KEEP, {"answers": [{**hashes, "result": result, "token": answer.token}]})


async def purge_answers(system_engine: AsyncEngine, batch: int = 5_000) -> int:
    """Delete the answers that have outlived their time, of every tenant, in batches; return how many."""
    deleted = 0
    while True:
        count = (await run_alone(system_engine, _PURGE, {"limit": batch})).rowcount
        deleted += count
        if count < batch:
            return deleted


def _lock(tenant_id: UUID, lock_hash: bytes) -> int:
    return int.from_bytes(hashlib.sha256(tenant_id.bytes + lock_hash).digest()[:8], signed=True)


def _answer(uow: UnitOfWork, key: IdempotencyKey, row: Row[Any]) -> KeptAnswer | RustokError:
    if row.request_hash != _request_hash(uow, key):
        return IdempotencyKeyReused("This Idempotency-Key was used for another request: make a new one.")
    result = _seal(uow, key).decrypt(row.result).decode() if key.is_secret else row.result
    return KeptAnswer(result, row.token)


def _request_hash(uow: UnitOfWork, key: IdempotencyKey) -> bytes:
    """Return what tells the request from others; of a secret one without our own secret nobody can guess it."""
    return uow.secrets.keyed_hash("idempotent-request", key.request_hash) if key.is_secret else key.request_hash


def _seal(uow: UnitOfWork, key: IdempotencyKey) -> Fernet:
    return Fernet(base64.urlsafe_b64encode(uow.secrets.keyed_hash("kept-answer", key.scope_hash)))
