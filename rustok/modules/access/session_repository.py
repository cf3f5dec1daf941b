"""The SQL of signing in: attempts, passwords and sessions."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import Row, text
from sqlalchemy.ext.asyncio import AsyncEngine

from rustok.db.failures import translated_failures
from rustok.db.transaction import run_alone
from rustok.db.unit_of_work import UnitOfWork

_FREE_ATTEMPTS = 5
_LONGEST_BLOCK_S = 900
_FORGOTTEN_AFTER = "1 hour"
_NEW_COUNT = f"""
    CASE WHEN a.last_at < CAST(:now AS timestamptz) - interval '{_FORGOTTEN_AFTER}' THEN 1 ELSE a.count + 1 END
"""


def _wait_after(count: str) -> str:
    """Return the SQL of how long the next attempt has to wait after so many."""
    return f"""
        make_interval(secs => CASE WHEN {count} < {_FREE_ATTEMPTS} THEN 0
                                   ELSE least(power(2, least({count} - {_FREE_ATTEMPTS}, 10)), {_LONGEST_BLOCK_S}) END)
    """


# Counted before a password is looked at: guesses that are made at the same moment count, too.
_COUNT_ATTEMPT = text(
    f"""
    INSERT INTO sign_in_attempts AS a (counted_by, count, blocked_until, last_at)
    VALUES (:counted_by, 1, :now, :now)
        ON CONFLICT (counted_by)
        DO UPDATE SET count = {_NEW_COUNT}, last_at = :now,
                      blocked_until = CAST(:now AS timestamptz) + {_wait_after(_NEW_COUNT)}
         WHERE a.blocked_until <= :now
    RETURNING count
    """
)
_BLOCKED_UNTIL = text("SELECT blocked_until FROM sign_in_attempts WHERE counted_by = :counted_by")
_FORGET_ATTEMPTS = text("DELETE FROM sign_in_attempts WHERE counted_by = :counted_by")
_TAKE_BACK_ATTEMPT = text(
    f"""
    UPDATE sign_in_attempts SET count = count - 1, blocked_until = last_at + {_wait_after("(count - 1)")}
     WHERE counted_by = :counted_by
    """
)
_TOUCH_ATTEMPTS = text("UPDATE sign_in_attempts SET last_at = :now WHERE counted_by = :counted_by")
_PURGE_ATTEMPTS = text(
    f"""
    DELETE FROM sign_in_attempts WHERE counted_by IN (
        SELECT counted_by FROM sign_in_attempts
         WHERE last_at < now() - interval '{_FORGOTTEN_AFTER}' LIMIT 5000)
    """
)
_PURGE_SESSIONS = text(
    """
    DELETE FROM sessions WHERE (tenant_id, id) IN (
        SELECT tenant_id, id FROM sessions
         WHERE expires_at < now() - interval '1 day' OR revoked_at < now() - interval '1 day' LIMIT 5000)
    """
)
_FIND_BY_EMAIL = text(
    """
    SELECT p.id, p.is_active, p.password_hash FROM principals AS p
      JOIN tenants AS t ON t.id = p.tenant_id AND t.is_active
     WHERE p.tenant_id = :tenant_id AND p.email = :email AND p.kind = 'user'
    """
)
_FIND_BY_IDENTITY = text(
    """
    SELECT p.id, p.is_active, p.password_hash FROM identities AS i
      JOIN principals AS p ON p.tenant_id = i.tenant_id AND p.id = i.principal_id
      JOIN tenants AS t ON t.id = i.tenant_id AND t.is_active
     WHERE i.tenant_id = :tenant_id AND i.issuer = :issuer AND i.subject = :subject
    """
)
# A user who is somebody else there already is left alone.
_BIND_IDENTITY = text(
    """
    INSERT INTO identities (tenant_id, issuer, subject, principal_id, created_at)
    SELECT p.tenant_id, :issuer, :subject, p.id, CAST(:now AS timestamptz) FROM principals AS p
      JOIN tenants AS t ON t.id = p.tenant_id AND t.is_active
     WHERE p.tenant_id = :tenant_id AND p.email = :email AND p.kind = 'user' AND p.is_active
        ON CONFLICT DO NOTHING
    """
)
_LOCK_USER = text(
    "SELECT version, is_active, password_hash FROM principals WHERE tenant_id = :tenant_id AND id = :id FOR UPDATE"
)
_SET_PASSWORD = text(
    """
    UPDATE principals SET password_hash = :password_hash, version = :version, updated_at = :now
     WHERE tenant_id = :tenant_id AND id = :id
    """
)
_INSERT_SESSION = text(
    """
    INSERT INTO sessions (tenant_id, id, principal_id, method, generation, rotated_at, expires_at, version, created_at)
    VALUES (:tenant_id, :id, :principal_id, :method, 1, :now, :expires_at, :version, :now)
    """
)
_LOCK_SESSION = text(
    """
    SELECT s.id, s.principal_id, s.generation, s.rotated_at, s.expires_at, s.revoked_at, s.version, p.is_active
      FROM sessions AS s JOIN principals AS p ON p.tenant_id = s.tenant_id AND p.id = s.principal_id
     WHERE s.tenant_id = :tenant_id AND s.id = :id FOR UPDATE OF s
    """
)
_ROTATE = text(
    "UPDATE sessions SET generation = :generation, rotated_at = :now WHERE tenant_id = :tenant_id AND id = :id"
)
_CLOSE = text("UPDATE sessions SET revoked_at = :now, version = :version WHERE tenant_id = :tenant_id AND id = :id")
_OPEN = "tenant_id = :tenant_id AND principal_id = :principal_id AND revoked_at IS NULL AND expires_at > :now"
_LOCK_OPEN = text(
    f"""
    SELECT id, principal_id, version FROM sessions
     WHERE {_OPEN} AND id IN (SELECT id FROM sessions WHERE {_OPEN} ORDER BY rotated_at DESC, id DESC OFFSET :kept)
     ORDER BY id FOR UPDATE
    """
)


async def count_attempt(uow: UnitOfWork, counted_by: bytes) -> datetime | None:
    """Count an attempt; return until when no other is taken instead, if that is so."""
    if (await uow.execute(_COUNT_ATTEMPT, {"counted_by": counted_by, "now": uow.now})).one_or_none():
        return None
    blocked_until: datetime | None = (
        await uow.execute(_BLOCKED_UNTIL, {"counted_by": counted_by})
    ).scalar_one_or_none()
    return blocked_until


async def forget_attempts(uow: UnitOfWork, counted_by: bytes) -> None:
    await uow.execute(_FORGET_ATTEMPTS, {"counted_by": counted_by})


async def take_back_attempt(uow: UnitOfWork, counted_by: bytes) -> None:
    """Count one less, and wait no longer than after those that are left."""
    await uow.execute(_TAKE_BACK_ATTEMPT, {"counted_by": counted_by})


async def touch_attempts(uow: UnitOfWork, counted_by: bytes) -> None:
    await uow.execute(_TOUCH_ATTEMPTS, {"counted_by": counted_by, "now": uow.now})


async def find_by_email(uow: UnitOfWork, email: str) -> Row[Any] | None:
    """Return the user with this address, if there is one in a tenant that is not switched off."""
    return (await uow.execute(_FIND_BY_EMAIL, {"tenant_id": uow.tenant_id, "email": email})).one_or_none()


async def find_by_identity(uow: UnitOfWork, issuer: str, subject: str, email: str) -> Row[Any] | None:
    """Return the user whom a provider knows as *subject*; at first, the one with the address that it has verified.

    There is none in a tenant that is switched off.
    """
    of_it = {"tenant_id": uow.tenant_id, "issuer": issuer, "subject": subject}
    found = (await uow.execute(_FIND_BY_IDENTITY, of_it)).one_or_none()
    if found is not None:
        return found
    await uow.execute(_BIND_IDENTITY, {**of_it, "email": email, "now": uow.now})
    return (await uow.execute(_FIND_BY_IDENTITY, of_it)).one_or_none()


async def lock_user(uow: UnitOfWork, user_id: UUID) -> Row[Any] | None:
    """Return the user as it is now, and keep it so until the transaction ends."""
    row = (await uow.execute(_LOCK_USER, {"tenant_id": uow.tenant_id, "id": user_id})).one_or_none()
    if row is not None:
        uow.hold("user", user_id, row.version)
    return row


async def set_password(uow: UnitOfWork, user_id: UUID, password_hash: str, version: int) -> None:
    values = {"id": user_id, "password_hash": password_hash, "version": version}
    await uow.execute(_SET_PASSWORD, {"tenant_id": uow.tenant_id, "now": uow.now, **values})


async def insert_session(uow: UnitOfWork, values: dict[str, Any]) -> None:
    await uow.execute(_INSERT_SESSION, {"tenant_id": uow.tenant_id, "now": uow.now, **values})


async def lock_session(uow: UnitOfWork, session_id: UUID) -> Row[Any] | None:
    row = (await uow.execute(_LOCK_SESSION, {"tenant_id": uow.tenant_id, "id": session_id})).one_or_none()
    if row is not None:
        uow.hold("session", row.id, row.version)
    return row


async def lock_open_sessions(uow: UnitOfWork, principal_id: UUID, *, kept: int = 0) -> Sequence[Row[Any]]:
    """Lock the sessions of a user that have not ended, but for *kept* that were refreshed last, and return them."""
    values = {"tenant_id": uow.tenant_id, "principal_id": principal_id, "now": uow.now, "kept": kept}
    rows = (await uow.execute(_LOCK_OPEN, values)).all()
    for row in rows:
        uow.hold("session", row.id, row.version, is_consequence=True)
    return rows


async def rotate_session(uow: UnitOfWork, session_id: UUID, generation: int) -> None:
    values = {"id": session_id, "generation": generation, "now": uow.now}
    await uow.execute(_ROTATE, {"tenant_id": uow.tenant_id, **values})


async def close_session(uow: UnitOfWork, session_id: UUID, version: int) -> None:
    values = {"id": session_id, "version": version, "now": uow.now}
    await uow.execute(_CLOSE, {"tenant_id": uow.tenant_id, **values})


async def purge_sign_ins(system_engine: AsyncEngine) -> int:
    """Delete attempts and sessions that are of no use any more, of every tenant; return how many."""
    deleted = 0
    with translated_failures():
        for purge in (_PURGE_ATTEMPTS, _PURGE_SESSIONS):
            while count := (await run_alone(system_engine, purge)).rowcount:
                deleted += count
    return deleted
