"""Who calls: turns the credential of a request into the context that commands and queries run in."""

from collections.abc import Awaitable, Callable
from typing import TypeVar
from uuid import UUID

import structlog
from starlette.requests import Request

from api.faults import TenantMismatch
from api.headers import bearer_token
from api.record import record_of
from rustok.db.unit_of_work import StaleAuthorization
from rustok.kernel.context import Context
from rustok.kernel.errors import Forbidden, ModuleOff, Unavailable
from rustok.modules.access import Authenticator, Identity

T = TypeVar("T")


class Caller:
    """The authenticated origin of one request."""

    def __init__(self, authenticator: Authenticator, request: Request, context: Context) -> None:
        self._authenticator = authenticator
        self._request = request
        self._context = context

    @property
    def tenant_id(self) -> UUID:
        return self._context.tenant_id

    async def run(self, work: Callable[[Context], Awaitable[T]]) -> T:
        """Return what *work* returns, run with rights that are still in force.

        What this process remembers of a credential may be older than the tenant's rules: then, and before a
        refusal becomes final, the rights are read again, and *work* runs once more if they have changed.
        """
        try:
            return await work(self._context)
        except (StaleAuthorization, Forbidden, ModuleOff) as refusal:
            fresh = await _context(self._authenticator, self._request, fresh=True)
            if fresh.principal == self._context.principal and not isinstance(refusal, StaleAuthorization):
                raise
        try:
            return await work(fresh)
        except StaleAuthorization:
            raise Unavailable("The tenant's access rules are being changed: try again.") from None


async def identify(authenticator: Authenticator, request: Request, module: str) -> Caller:
    """Return who sends *request*, which *module* answers.

    Raises:
        Unauthenticated: the credential is missing or not valid.
        TenantMismatch: it belongs to another tenant than X-Tenant, a slug or an id, names.
        ModuleOff: the tenant has switched *module* off.

    """
    context = await _context(authenticator, request, fresh=False)
    if module in context.principal.modules_off:
        context = await _context(authenticator, request, fresh=True)
        context.require_module(module)
    return Caller(authenticator, request, context)


async def _context(authenticator: Authenticator, request: Request, *, fresh: bool) -> Context:
    identity = await authenticator.authenticate(bearer_token(request), fresh=fresh)
    if not all(_is_named(identity, wanted) for wanted in request.headers.getlist("x-tenant")):
        raise TenantMismatch("The credential belongs to another tenant than X-Tenant names: drop the header.")
    structlog.contextvars.bind_contextvars(tenant=identity.tenant_slug)
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
