"""Sessions: opened by whoever has signed in, kept by refresh tokens, and closed."""

from dataclasses import dataclass, replace
from datetime import timedelta
from typing import Any
from uuid import UUID

from sqlalchemy import Row

from rustok.db.unit_of_work import UnitOfWork, UnitOfWorkFactory
from rustok.kernel.context import Context, Principal
from rustok.kernel.errors import Unauthenticated
from rustok.kernel.ports import Clock
from rustok.kernel.secrets import Secrets
from rustok.modules.access import events
from rustok.modules.access import session_repository as repository
from rustok.modules.access.access_token import LIFETIME_S, AccessTokens
from rustok.modules.access.refresh_token import Judgement, RefreshToken, RefreshTokens, judge

_SESSION_LIFETIME = timedelta(days=30)
_MOST_OPEN = 50
"""Sessions of a user: one more closes the one that was refreshed least lately."""
_ENDED = "The session has ended: sign in again."


@dataclass(frozen=True, slots=True)
class Circumstances:
    """Of a request that has no principal yet."""

    correlation_id: UUID
    traceparent: str | None

    def context(self, tenant_id: UUID, user_id: UUID | None = None) -> Context:
        """Return the context of work that the request has done in a tenant, by nobody or by a user of it."""
        principal = Principal("visitor", "anonymous", frozenset())
        if user_id is not None:
            principal = Principal("user", str(user_id), frozenset(), subject=user_id)
        return Context(
            tenant_id=tenant_id,
            principal=principal,
            correlation_id=self.correlation_id,
            causation_id=self.correlation_id,
            traceparent=self.traceparent,
        )


@dataclass(frozen=True, slots=True)
class SignedIn:
    """`expires_in_s`: seconds for which the access token is taken."""

    tenant_id: UUID
    user_id: UUID
    session_id: UUID
    access_token: str
    refresh_token: str
    expires_in_s: int = LIFETIME_S


class Sessions:
    """Opens, keeps and closes sessions."""

    def __init__(self, units: UnitOfWorkFactory, secrets: Secrets, clock: Clock) -> None:
        self._units = units
        self._access_tokens = AccessTokens(secrets, clock)
        self._refresh_tokens = RefreshTokens(secrets)

    async def open(self, uow: UnitOfWork, user_id: UUID, method: str) -> SignedIn:
        """Open a session of a user whose row is held, and who has signed in by *method*."""
        for row in await repository.lock_open_sessions(uow, user_id, kept=_MOST_OPEN - 1):
            await _close(uow, row, "superseded")
        session_id = uow.new_id()
        uow.hold("session", session_id, version=0)
        version = uow.emit(events.SessionOpened(user_id=str(user_id), method=method), session_id)
        values = {"id": session_id, "principal_id": user_id, "method": method, "version": version}
        await repository.insert_session(uow, {**values, "expires_at": uow.now + _SESSION_LIFETIME})
        return self._signed_in(user_id, RefreshToken(uow.tenant_id, session_id, 1))

    def tenant_of(self, text: str) -> UUID:
        """Return the tenant of a refresh token, whose session may have ended. Raises Unauthenticated: it is none."""
        return self._read(text).tenant_id

    async def refresh(self, text: str, about: Circumstances) -> SignedIn:
        """Return new tokens for a refresh token, which is of no use afterwards.

        One that is sent again at once, since its answer was lost, gets the same successor. One that is sent again
        later was copied: its session ends.

        Raises:
            Unauthenticated: it is none, or its session has ended.

        """
        token = self._read(text)
        async with self._units.begin(about.context(token.tenant_id)) as uow:
            row = await repository.lock_session(uow, token.session_id)
            if row is None or not row.is_active or row.revoked_at is not None or row.expires_at <= uow.now:
                raise Unauthenticated(_ENDED)
            judgement = judge(token.number, row.generation, row.rotated_at, uow.now)
            if judgement is Judgement.REUSED:
                await _close(uow, row, "reused")
            elif judgement is Judgement.ROTATE:
                await repository.rotate_session(uow, row.id, row.generation + 1)
        if judgement is Judgement.REUSED:
            raise Unauthenticated(_ENDED)
        return self._signed_in(row.principal_id, replace(token, number=token.number + 1))

    async def sign_out(self, text: str, about: Circumstances) -> None:
        """Close the session of a refresh token, from the next request on. Twice is as once.

        Raises:
            Unauthenticated: it is no refresh token.

        """
        token = self._read(text)
        async with self._units.begin(about.context(token.tenant_id), is_about_tenant=True) as uow:
            row = await repository.lock_session(uow, token.session_id)
            if row is not None and row.revoked_at is None:
                await _close(uow, row, "signed_out")

    def _read(self, text: str) -> RefreshToken:
        token = self._refresh_tokens.read(text)
        if token is None:
            raise Unauthenticated(_ENDED)
        return token

    def _signed_in(self, user_id: UUID, token: RefreshToken) -> SignedIn:
        return SignedIn(
            token.tenant_id,
            user_id,
            token.session_id,
            self._access_tokens.issue(token.tenant_id, user_id, token.session_id),
            self._refresh_tokens.issue(token),
        )


async def replace_password(uow: UnitOfWork, user_id: UUID, password_hash: str) -> None:
    """Set the password of a user whose row is held, and close every session."""
    await repository.set_password(uow, user_id, password_hash, uow.emit(events.UserPasswordSet(), user_id))
    await close_sessions(uow, user_id)


async def close_sessions(uow: UnitOfWork, user_id: UUID) -> int:
    """Close every session of a user, from the next request on; return how many there were."""
    rows = await repository.lock_open_sessions(uow, user_id)
    for row in rows:
        await _close(uow, row, "closed")
    return len(rows)


async def _close(uow: UnitOfWork, row: Row[Any], reason: str) -> None:
    version = uow.emit(events.SessionClosed(user_id=str(row.principal_id), reason=reason), row.id)
    await repository.close_session(uow, row.id, version)
