"""Turns a bearer token into a principal. A known token costs no query."""

import hashlib
import hmac
from collections import OrderedDict
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import Row
from sqlalchemy.ext.asyncio import AsyncEngine

from rustok.db.failures import translated_failures
from rustok.kernel.context import Principal
from rustok.kernel.errors import Unauthenticated
from rustok.kernel.permission import Permission
from rustok.kernel.ports import Clock
from rustok.kernel.quota import Quota, read_quota
from rustok.kernel.secrets import Secrets
from rustok.modules.access import repository
from rustok.modules.access.access_token import AccessTokens
from rustok.modules.access.api_key import parse_api_key
from rustok.modules.access.credentials import holder_of_key, holder_of_session
from rustok.modules.access.roles import Roles
from rustok.modules.tenants import ResolvedTenant

_CACHED_TOKENS = 10_000
_REFUSED = (
    "Send `Authorization: Bearer <API key>` with a valid key (`rustok apikey create` makes one), "
    "or an access token that has not ended."
)


@dataclass(frozen=True, slots=True)
class Identity:
    """Who a credential belongs to; `request_quota` where the tenant has one of its own."""

    tenant_id: UUID
    tenant_slug: str
    request_quota: Quota | None
    principal: Principal
    expires_at: datetime | None


class Authenticator:
    """Keeps what it found. An identity whose tenant changed its access rules since then announces itself:
    the unit of work compares `authz_version` and raises `StaleAuthorization`; the caller then authenticates
    with `fresh`. So a revocation holds from the next request on, in every process.
    """

    def __init__(self, engine: AsyncEngine, secrets: Secrets, clock: Clock, permissions: Iterable[Permission]) -> None:
        self._engine = engine
        self._secrets = secrets
        self._clock = clock
        self._roles = Roles(permissions)
        self._access_tokens = AccessTokens(secrets, clock)
        self._cache: OrderedDict[bytes, Identity] = OrderedDict()

    async def authenticate(self, token: str, *, fresh: bool = False) -> Identity:
        """Return whose *token* this is.

        Raises:
            Unauthenticated: it is mistyped, unknown, revoked or expired; the message does not tell which.

        """
        cache_key = hashlib.sha256(token.encode()).digest()
        identity = self._cache.pop(cache_key, None)
        if identity is None or fresh:
            identity = await self._look_up(token)
        self._cache[cache_key] = identity
        if len(self._cache) > _CACHED_TOKENS:
            self._cache.popitem(last=False)  # the one that was not used for the longest time
        if identity.expires_at is not None and identity.expires_at <= self._clock.now():
            raise Unauthenticated(_REFUSED)
        return identity

    def visitor(self, tenant: ResolvedTenant) -> Identity:
        """Return somebody without a credential, in a tenant whose storefront is open."""
        permissions = self._roles.built_in("visitor")
        principal = Principal("visitor", "anonymous", permissions, tenant.authz_version, modules_off=tenant.modules_off)
        return Identity(tenant.id, tenant.slug, _quota(tenant.request_quota), principal, None)

    async def _look_up(self, token: str) -> Identity:
        return await (self._look_up_key(token) if token.startswith("rtk_") else self._look_up_session(token))

    async def _look_up_session(self, text: str) -> Identity:
        try:
            token = self._access_tokens.read(text)
        except Unauthenticated:
            raise Unauthenticated(_REFUSED) from None
        with translated_failures():
            row = await repository.authenticate_session(self._engine, token.tenant_id, token.session_id)
        holder = holder_of_session(row, self._roles)
        if row is None or holder is None or holder.subject != token.principal_id:
            raise Unauthenticated(_REFUSED)
        return _identity(row, holder, min(token.expires_at, row.expires_at))

    async def _look_up_key(self, token: str) -> Identity:
        key = parse_api_key(token)
        if key is None:
            raise Unauthenticated(_REFUSED)
        with translated_failures():
            row = await repository.authenticate_api_key(self._engine, key.key_id)
        digest = self._secrets.keyed_hash("api-key", key.secret.encode())
        holder = holder_of_key(row, self._roles)
        if row is None or holder is None or not hmac.compare_digest(digest, row.secret_hash):
            raise Unauthenticated(_REFUSED)
        return _identity(row, holder, row.expires_at)


def _identity(row: Row[Any], principal: Principal, expires_at: datetime | None) -> Identity:
    return Identity(row.tenant_id, row.tenant_slug, _quota(row.request_quota), principal, expires_at)


def _quota(text: str | None) -> Quota | None:
    return read_quota(text) if text else None
