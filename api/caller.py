"""Who calls: turns the credential of a request into the context that commands and queries run in, and counts it."""

from collections.abc import Awaitable, Callable
from typing import TypeVar
from uuid import UUID

import structlog
from starlette.requests import Request

from api.faults import TenantMismatch
from api.headers import bearer_token
from api.rate_limits import RateLimits
from api.record import record_of
from rustok.db.unit_of_work import StaleAuthorization
from rustok.kernel.context import Context
from rustok.kernel.errors import Forbidden, ModuleOff, Unavailable
from rustok.modules.access import Authenticator, Identity

T = TypeVar("T")


class Caller:
    """The authenticated origin of one request."""

    def __init__(self, callers: "Callers", request: Request, identity: Identity) -> None:
        self._callers = callers
        self._request = request
        self._identity = identity

    @property
    def tenant_id(self) -> UUID:
        return self._identity.tenant_id

    def charge(self, units: int) -> None:
        """Take *units* of the tenant's quota, beside the one that a request takes. Raises RateLimited."""
        self._callers.charge(self._request, self._identity, units)

    async def run(self, work: Callable[[Context], Awaitable[T]]) -> T:
        """Return what *work* returns, run with rights that are still in force.

        What this process remembers of a credential may be older than the tenant's rules: then, and before a
        refusal becomes final, the rights are read again, and *work* runs once more if they have changed.
        """
        try:
            return await work(_context(self._request, self._identity))
        except (StaleAuthorization, Forbidden, ModuleOff) as refusal:
            fresh = await self._callers.authenticate(self._request, fresh=True)
            if fresh.principal == self._identity.principal and not isinstance(refusal, StaleAuthorization):
                raise
        try:
            return await work(_context(self._request, fresh))
        except StaleAuthorization:
            raise Unavailable("The tenant's access rules are being changed: try again.") from None


class Callers:
    """Finds out who sends a request, and takes it from the quota of its tenant."""

    def __init__(self, authenticator: Authenticator, rate_limits: RateLimits) -> None:
        self._authenticator = authenticator
        self._rate_limits = rate_limits

    async def identify(self, request: Request, module: str) -> Caller:
        """Return who sends *request*, which *module* answers.

        Raises:
            Unauthenticated: the credential is missing or not valid.
            RateLimited: its tenant has sent too many.
            TenantMismatch: it belongs to another tenant than X-Tenant, a slug or an id, names.
            ModuleOff: the tenant has switched *module* off.

        """
        identity = await self.authenticate(request)
        self.charge(request, identity, 1)
        if not all(_is_named(identity, wanted) for wanted in request.headers.getlist("x-tenant")):
            raise TenantMismatch("The credential belongs to another tenant than X-Tenant names: drop the header.")
        if module in identity.principal.modules_off:
            identity = await self.authenticate(request, fresh=True)
            identity.principal.require_module(module)
        return Caller(self, request, identity)

    async def authenticate(self, request: Request, *, fresh: bool = False) -> Identity:
        identity = await self._authenticator.authenticate(bearer_token(request), fresh=fresh)
        structlog.contextvars.bind_contextvars(tenant=identity.tenant_slug)
        return identity

    def charge(self, request: Request, identity: Identity, units: int) -> None:
        tenant_id, quota = identity.tenant_id, identity.request_quota
        try:
            self._rate_limits.charge(tenant_id, quota, units)
        finally:
            record_of(request.scope).headers = self._rate_limits.fields(tenant_id, quota)


def _context(request: Request, identity: Identity) -> Context:
    record = record_of(request.scope)
    return Context(
        tenant_id=identity.tenant_id,
        principal=identity.principal,
        correlation_id=record.correlation_id,
        causation_id=record.correlation_id,
        traceparent=record.traceparent,
    )


def _is_named(identity: Identity, reference: str) -> bool:
    return reference == identity.tenant_slug or reference.lower() == str(identity.tenant_id)
