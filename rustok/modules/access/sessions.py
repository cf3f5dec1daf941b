"""Signing in and out: a session is opened by a password or a provider, kept by refresh tokens, and closed.

Whoever guesses learns nothing: an unknown tenant or address, a wrong password and a user who may not sign in have one
answer, after the same work, and are counted alike.
"""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import asdict, dataclass, replace
from datetime import timedelta
from math import ceil
from typing import Any
from uuid import UUID

from sqlalchemy import Row

from rustok.db.unit_of_work import UnitOfWork, UnitOfWorkFactory
from rustok.kernel.context import Context, Principal
from rustok.kernel.errors import Unauthenticated
from rustok.kernel.ids import uuid7
from rustok.kernel.ports import Clock
from rustok.kernel.secrets import Secrets
from rustok.modules.access import events
from rustok.modules.access import session_repository as repository
from rustok.modules.access.access_token import LIFETIME_S, AccessTokens
from rustok.modules.access.attempts import Attempt, Devices, address_key
from rustok.modules.access.errors import OidcLoginRefused, SignInBlocked, SignInRefused
from rustok.modules.access.id_token import OidcIdentity
from rustok.modules.access.passwords import PASSWORDS, PasswordHasher, TooManyHashes
from rustok.modules.access.refresh_token import Judgement, RefreshToken, RefreshTokens, judge

_SESSION_LIFETIME = timedelta(days=30)
_MOST_OPEN = 50
"""Sessions of a user: one more closes the one that was refreshed least lately."""
_REFUSED = "No user of this tenant has this address and this password."
_ENDED = "The session has ended: sign in again."


@dataclass(frozen=True, slots=True)
class Circumstances:
    """Of a request that has no principal yet."""

    correlation_id: UUID
    traceparent: str | None


@dataclass(frozen=True, slots=True)
class SignedIn:
    """`expires_in_s`: seconds for which the access token is taken."""

    tenant_id: UUID
    user_id: UUID
    session_id: UUID
    access_token: str
    refresh_token: str
    expires_in_s: int = LIFETIME_S


@dataclass(frozen=True, slots=True, kw_only=True)
class SignedInOnDevice(SignedIn):
    """`device` is to be kept, and shown with the next password."""

    device: str


class Sessions:
    """Opens, keeps and closes sessions. No transaction is open while a password is hashed."""

    def __init__(
        self, units: UnitOfWorkFactory, secrets: Secrets, clock: Clock, passwords: PasswordHasher = PASSWORDS
    ) -> None:
        self._units = units
        self._secrets = secrets
        self._passwords = passwords
        self._access_tokens = AccessTokens(secrets, clock)
        self._refresh_tokens = RefreshTokens(secrets)
        self._devices = Devices(secrets)

    def absent_tenant(self, name: str) -> UUID:
        """Return what stands for a tenant that is called *name* and is none: an id that nobody has, or can guess."""
        return UUID(bytes=self._secrets.keyed_hash("absent-tenant", name.encode())[:16])

    async def sign_in(self, attempt: Attempt, about: Circumstances) -> SignedInOnDevice:
        """Open a session of the user with this address.

        Raises:
            SignInBlocked: there were too many attempts, on this device if it is known to be the user's, else for this
                address; for a while not even a good one is taken.
            SignInRefused: there is no such user, the password is another one, or the user may not sign in.
            TooManyHashes: passwords are being looked at, two at a time, and others wait already.

        """
        return await self._enter(attempt, await self._whose(attempt, about), about)

    async def change_password(self, attempt: Attempt, new_password: str, about: Circumstances) -> SignedInOnDevice:
        """Sign in, and have another password from then on; every other session is closed. Raises as `sign_in` does."""
        user = await self._whose(attempt, about)
        async with self._taken_back_if_too_many(attempt, about):
            new_password_hash = await self._passwords.hash(new_password)
        return await self._enter(attempt, user, about, new_password_hash)

    async def sign_in_by_provider(
        self, tenant_id: UUID, identity: OidcIdentity, about: Circumstances, *, provider: str
    ) -> SignedIn:
        """Open a session of the user whom *provider* vouches for.

        At first somebody is known by the address that it has verified, then by what stays the same there.

        Raises:
            OidcLoginRefused: that is no user of the tenant, or one who may not sign in.

        """
        async with self._units.begin(_context(tenant_id, about), is_about_tenant=True) as uow:
            user = await repository.find_by_identity(uow, identity.issuer, identity.subject, identity.email)
        if user is None or not user.is_active:
            await self._tell_refusal(tenant_id, user, address_key(self._secrets, tenant_id, identity.email), about)
            raise OidcLoginRefused("The provider vouches for somebody who is no user of this tenant.")
        async with self._units.begin(_context(tenant_id, about, user.id)) as uow:
            await _lock_as_seen(uow, user)
            session_id = await _open(uow, user.id, provider)
        return self._signed_in(user.id, RefreshToken(tenant_id, session_id, 1))

    async def refresh(self, text: str, about: Circumstances) -> SignedIn:
        """Return new tokens for a refresh token, which is of no use afterwards.

        One that is sent again at once, since its answer was lost, gets the same successor. One that is sent again
        later was copied: its session ends.

        Raises:
            Unauthenticated: it is none, or its session has ended.

        """
        token = self._refresh_tokens.read(text)
        if token is None:
            raise Unauthenticated(_ENDED)
        async with self._units.begin(_context(token.tenant_id, about)) as uow:
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
        token = self._refresh_tokens.read(text)
        if token is None:
            raise Unauthenticated(_ENDED)
        async with self._units.begin(_context(token.tenant_id, about), is_about_tenant=True) as uow:
            row = await repository.lock_session(uow, token.session_id)
            if row is not None and row.revoked_at is None:
                await _close(uow, row, "signed_out")

    async def _whose(self, attempt: Attempt, about: Circumstances) -> Row[Any]:
        """Return the user who has shown the right password. Raises as `sign_in` does."""
        user = await self._begin(attempt, about)
        async with self._taken_back_if_too_many(attempt, about):
            matches = await self._passwords.verify(user.password_hash if user else None, attempt.password)
        if user is None or not matches or not user.is_active:
            await self._tell_refusal(attempt.tenant_id, user, self._devices.counted_by(attempt), about)
            raise SignInRefused(_REFUSED)
        return user

    async def _begin(self, attempt: Attempt, about: Circumstances) -> Row[Any] | None:
        """Count an attempt, and return the user with this address, if there is one."""
        async with self._units.begin(_context(attempt.tenant_id, about), is_about_tenant=True) as uow:
            blocked_until = await repository.count_attempt(uow, self._devices.counted_by(attempt))
            user = None if blocked_until else await repository.find_by_email(uow, attempt.email)
        if blocked_until is not None:
            raise SignInBlocked(ceil((blocked_until - uow.now).total_seconds()))
        return user

    @asynccontextmanager
    async def _taken_back_if_too_many(self, attempt: Attempt, about: Circumstances) -> AsyncIterator[None]:
        """Count an attempt no more for which there was no turn: no password was looked at, or it was the right one."""
        try:
            yield
        except TooManyHashes:
            async with self._units.begin(_context(attempt.tenant_id, about), is_about_tenant=True) as uow:
                await repository.take_back_attempt(uow, self._devices.counted_by(attempt))
            raise

    async def _enter(
        self, attempt: Attempt, user: Row[Any], about: Circumstances, new_password_hash: str | None = None
    ) -> SignedInOnDevice:
        """Open a session of a user who has shown the password, and forget what was counted with this attempt."""
        async with self._units.begin(_context(attempt.tenant_id, about, user.id)) as uow:
            await _lock_as_seen(uow, user)
            if new_password_hash is not None:
                await replace_password(uow, user.id, new_password_hash)
            await repository.forget_attempts(uow, self._devices.counted_by(attempt))
            session_id = await _open(uow, user.id, "password")
        signed_in = self._signed_in(user.id, RefreshToken(attempt.tenant_id, session_id, 1))
        device = self._devices.known(attempt) or self._devices.issue(uuid7(), attempt)
        return SignedInOnDevice(**asdict(signed_in), device=device)

    async def _tell_refusal(
        self, tenant_id: UUID, user: Row[Any] | None, counted_by: bytes, about: Circumstances
    ) -> None:
        """Tell it of a user; for an address that is nobody's as much is committed, but nothing that lasts."""
        async with self._units.begin(_context(tenant_id, about), is_about_tenant=True) as uow:
            await repository.touch_attempts(uow, counted_by)
            if user is not None:
                attempt_id = uow.new_id()
                uow.hold("sign_in", attempt_id, version=0)
                uow.emit(events.SignInRefused(user_id=str(user.id)), attempt_id)

    def _signed_in(self, user_id: UUID, token: RefreshToken) -> SignedIn:
        return SignedIn(
            token.tenant_id,
            user_id,
            token.session_id,
            self._access_tokens.issue(token.tenant_id, user_id, token.session_id),
            self._refresh_tokens.issue(token),
        )


async def _lock_as_seen(uow: UnitOfWork, user: Row[Any]) -> None:
    """Hold the user's row, and return if nobody has changed what decides about signing in since it was read."""
    now = await repository.lock_user(uow, user.id)
    if now is None or not now.is_active or now.password_hash != user.password_hash:
        raise SignInRefused(_REFUSED)


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


async def _open(uow: UnitOfWork, user_id: UUID, method: str) -> UUID:
    for row in await repository.lock_open_sessions(uow, user_id, kept=_MOST_OPEN - 1):
        await _close(uow, row, "superseded")
    session_id = uow.new_id()
    uow.hold("session", session_id, version=0)
    version = uow.emit(events.SessionOpened(user_id=str(user_id), method=method), session_id)
    values = {"id": session_id, "principal_id": user_id, "method": method, "version": version}
    await repository.insert_session(uow, {**values, "expires_at": uow.now + _SESSION_LIFETIME})
    return session_id


async def _close(uow: UnitOfWork, row: Row[Any], reason: str) -> None:
    version = uow.emit(events.SessionClosed(user_id=str(row.principal_id), reason=reason), row.id)
    await repository.close_session(uow, row.id, version)


def _context(tenant_id: UUID, about: Circumstances, user_id: UUID | None = None) -> Context:
    principal = Principal("visitor", "anonymous", frozenset())
    if user_id is not None:
        principal = Principal("user", str(user_id), frozenset(), subject=user_id)
    return Context(
        tenant_id=tenant_id,
        principal=principal,
        correlation_id=about.correlation_id,
        causation_id=about.correlation_id,
        traceparent=about.traceparent,
    )
