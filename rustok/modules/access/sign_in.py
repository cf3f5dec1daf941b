"""Signing in: by a password, or by a provider that vouches for the user.

Whoever guesses learns nothing: an unknown tenant or address, a wrong password and a user who may not sign in have one
answer, after the same work, and are counted alike.
"""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import asdict, dataclass
from math import ceil
from typing import Any
from uuid import UUID

from sqlalchemy import Row

from rustok.db.unit_of_work import UnitOfWork, UnitOfWorkFactory
from rustok.kernel.ids import uuid7
from rustok.kernel.secrets import Secrets
from rustok.modules.access import events
from rustok.modules.access import session_repository as repository
from rustok.modules.access.attempts import Attempt, Devices, address_key
from rustok.modules.access.errors import OidcLoginRefused, SignInBlocked, SignInRefused
from rustok.modules.access.id_token import OidcIdentity
from rustok.modules.access.passwords import PASSWORDS, PasswordHasher, TooManyHashes
from rustok.modules.access.sessions import Circumstances, Sessions, SignedIn, replace_password

_REFUSED = "No user of this tenant has this address and this password."


@dataclass(frozen=True, slots=True, kw_only=True)
class SignedInOnDevice(SignedIn):
    """`device` is to be kept, and shown with the next password."""

    device: str


class SignIns:
    """Finds out who somebody is, and opens a session. No transaction is open while a password is hashed."""

    def __init__(
        self, units: UnitOfWorkFactory, secrets: Secrets, sessions: Sessions, passwords: PasswordHasher = PASSWORDS
    ) -> None:
        self._units = units
        self._secrets = secrets
        self._sessions = sessions
        self._passwords = passwords
        self._devices = Devices(secrets)

    def absent_tenant(self, name: str) -> UUID:
        """Return what stands for a tenant that is called *name* and is none: an id that nobody has, or can guess."""
        return UUID(bytes=self._secrets.keyed_hash("absent-tenant", name.encode())[:16])

    async def by_password(self, attempt: Attempt, about: Circumstances) -> SignedInOnDevice:
        """Open a session of the user with this address.

        Raises:
            SignInBlocked: there were too many attempts, on this device if it is known to be the user's, else for this
                address; for a while not even a good one is taken.
            SignInRefused: there is no such user, the password is another one, or the user may not sign in.
            TooManyHashes: passwords are being looked at, two at a time, and others wait already.

        """
        return await self._enter(attempt, await self._whose(attempt, about), about)

    async def change_password(self, attempt: Attempt, new_password: str, about: Circumstances) -> SignedInOnDevice:
        """Sign in, and have another password from then on; every other session is closed.

        Raises as `by_password` does.
        """
        user = await self._whose(attempt, about)
        async with self._taken_back_if_too_many(attempt, about):
            new_password_hash = await self._passwords.hash(new_password)
        return await self._enter(attempt, user, about, new_password_hash)

    async def by_provider(
        self, tenant_id: UUID, identity: OidcIdentity, about: Circumstances, *, provider: str
    ) -> SignedIn:
        """Open a session of the user whom *provider* vouches for.

        At first somebody is known by the address that it has verified, then by what stays the same there.

        Raises:
            OidcLoginRefused: that is no user of the tenant, or one who may not sign in.

        """
        async with self._units.begin(about.context(tenant_id), is_about_tenant=True) as uow:
            user = await repository.find_by_identity(uow, identity.issuer, identity.subject, identity.email)
        if user is None or not user.is_active:
            await self._tell_refusal(tenant_id, user, address_key(self._secrets, tenant_id, identity.email), about)
            raise OidcLoginRefused("The provider vouches for somebody who is no user of this tenant.")
        async with self._units.begin(about.context(tenant_id, user.id)) as uow:
            await _lock_as_seen(uow, user)
            return await self._sessions.open(uow, user.id, provider)

    async def _whose(self, attempt: Attempt, about: Circumstances) -> Row[Any]:
        """Return the user who has shown the right password. Raises as `by_password` does."""
        user = await self._begin(attempt, about)
        async with self._taken_back_if_too_many(attempt, about):
            matches = await self._passwords.verify(user.password_hash if user else None, attempt.password)
        if user is None or not matches or not user.is_active:
            await self._tell_refusal(attempt.tenant_id, user, self._devices.counted_by(attempt), about)
            raise SignInRefused(_REFUSED)
        return user

    async def _begin(self, attempt: Attempt, about: Circumstances) -> Row[Any] | None:
        """Count an attempt, and return the user with this address, if there is one."""
        async with self._units.begin(about.context(attempt.tenant_id), is_about_tenant=True) as uow:
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
            async with self._units.begin(about.context(attempt.tenant_id), is_about_tenant=True) as uow:
                await repository.take_back_attempt(uow, self._devices.counted_by(attempt))
            raise

    async def _enter(
        self, attempt: Attempt, user: Row[Any], about: Circumstances, new_password_hash: str | None = None
    ) -> SignedInOnDevice:
        """Open a session of a user who has shown the password, and forget what was counted with this attempt."""
        async with self._units.begin(about.context(attempt.tenant_id, user.id)) as uow:
            await _lock_as_seen(uow, user)
            if new_password_hash is not None:
                await replace_password(uow, user.id, new_password_hash)
            await repository.forget_attempts(uow, self._devices.counted_by(attempt))
            signed_in = await self._sessions.open(uow, user.id, "password")
        device = self._devices.known(attempt) or self._devices.issue(uuid7(), attempt)
        return SignedInOnDevice(**asdict(signed_in), device=device)

    async def _tell_refusal(
        self, tenant_id: UUID, user: Row[Any] | None, counted_by: bytes, about: Circumstances
    ) -> None:
        """Tell it of a user; for an address that is nobody's as much is committed, but nothing that lasts."""
        async with self._units.begin(about.context(tenant_id), is_about_tenant=True) as uow:
            await repository.touch_attempts(uow, counted_by)
            if user is not None:
                attempt_id = uow.new_id()
                uow.hold("sign_in", attempt_id, version=0)
                uow.emit(events.SignInRefused(user_id=str(user.id)), attempt_id)


async def _lock_as_seen(uow: UnitOfWork, user: Row[Any]) -> None:
    """Hold the user's row, and return if nobody has changed what decides about signing in since it was read."""
    now = await repository.lock_user(uow, user.id)
    if now is None or not now.is_active or now.password_hash != user.password_hash:
        raise SignInRefused(_REFUSED)
