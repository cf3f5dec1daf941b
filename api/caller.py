"""Who calls: turns the credential of a request, or the tenant it names, into the context that its work runs in."""

from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import AbstractAsyncContextManager, asynccontextmanager, nullcontext
from typing import TypeVar
from uuid import UUID

import structlog
from starlette.requests import Request

from api.faults import BadRequest, ProjectionLagging, RateLimited, TenantMismatch, TenantMissing
from api.headers import bearer_token, host_name, named_tenant
from api.in_progress import aside
from api.rate_limits import Payer, RateLimits
from api.record import record_of
from api.retries import pauses_s
from api.tenancy import TenantDirectory
from rustok.db.unit_of_work import StaleAuthorization, UnitOfWorkFactory
from rustok.dispatch import ItemFailed
from rustok.kernel.context import Context
from rustok.kernel.errors import Forbidden, InvalidInput, ModuleOff, RustokError, Unavailable, VersionRequired
from rustok.kernel.ports import Clock
from rustok.modules.access import Authenticator, Identity, is_for_visitors

T = TypeVar("T")

_SECOND_CHANCE_S = 1.0
"""A request over the quota is refused so much later: clients that ask again at once are not to leave time for nothing
but refusals."""
_MAY_COME_FIRST = (BadRequest, Forbidden, InvalidInput, ItemFailed, ModuleOff, ProjectionLagging, VersionRequired)
"""What work may be refused with before it has begun a unit of work, which compares rights with what they are now."""


class Callers:
    """Finds out who sends a request, and takes it from the quota of its tenant.

    The credential tells the tenant; what else names one, X-Tenant or the host, must agree. Without a credential one
    may do what visitors may, in the tenant that the request names, if that has opened its storefront.
    """

    def __init__(
        self,
        units: UnitOfWorkFactory,
        authenticator: Authenticator,
        directory: TenantDirectory,
        rate_limits: RateLimits,
        clock: Clock,
    ) -> None:
        self.units = units
        self._authenticator = authenticator
        self._directory = directory
        self._rate_limits = rate_limits
        self._clock = clock
        self._read_anew_at_s: dict[Payer, float] = {}

    @asynccontextmanager
    async def identified(self, request: Request, module: str, permission: str | None = None) -> AsyncIterator["Caller"]:
        """Yield who sends *request*, which *module* answers; *permission*: what it will need, if that is known.

        Nothing is answered, not even what was wrong with the request, to somebody whose rights have ended: where
        nothing else has compared them with what they are now, that is done on leaving.

        Raises:
            Unauthenticated: the credential is missing or not valid.
            TenantDisabled: its tenant is switched off.
            RateLimited: its tenant has sent too many.
            TenantMismatch: it belongs to another tenant than X-Tenant, a slug or an id, or the host names.
            TenantMissing: visitors may do this, and the request does not say in which tenant.
            ModuleOff: the tenant has switched *module* off.

        """
        may_visit = permission is not None and is_for_visitors(permission)
        async with self._admitted(request, may_visit=may_visit) as caller:
            await caller.require_module(module)
            yield caller

    @asynccontextmanager
    async def identified_anybody(self, request: Request) -> AsyncIterator["Caller"]:
        """Yield who sends *request*, which may want several things; who may have none of them is told when it is run.

        Raises as `identified` does, but ModuleOff.
        """
        async with self._admitted(request, may_visit=True) as caller:
            yield caller

    @asynccontextmanager
    async def _admitted(self, request: Request, *, may_visit: bool) -> AsyncIterator["Caller"]:
        identity = await self.authenticate(request, may_visit=may_visit)
        await self.charge(request, identity)
        caller = Caller(self, request, identity, may_visit=may_visit)
        try:
            if not _is_visitor(identity):
                await self._refuse_other_tenants(request, identity)
            yield caller
        except RustokError as refusal:
            if not refusal.retryable or isinstance(refusal, ProjectionLagging):  # the others are to cost no query
                await caller.confirm()
            raise
        await caller.confirm()

    async def authenticate(self, request: Request, *, may_visit: bool, fresh: bool = False) -> Identity:
        """Return who sends *request*; with *fresh* nothing of it is remembered. Raises as `identified` does."""
        identity = None
        if may_visit and "authorization" not in request.headers:
            identity = await self._visitor(request, fresh=fresh)
        if identity is None:
            identity = await self._authenticator.authenticate(bearer_token(request), fresh=fresh)
        structlog.contextvars.bind_contextvars(tenant=identity.tenant_slug)
        return identity

    async def charge(self, request: Request, identity: Identity) -> None:
        """Take a request from the quota of a tenant, now or a little later; the answer tells what is left.

        Raises RateLimited.
        """
        payer = _payer(identity)
        try:
            self._rate_limits.charge(payer, identity.request_quota)
        except RateLimited:
            await self.pause(request, _SECOND_CHANCE_S)
            identity = await self._read_anew(request, identity)
            self._rate_limits.charge(payer, identity.request_quota)
        finally:
            self._tell(request, identity)

    def owe(self, request: Request, identity: Identity, units: int) -> None:
        """Take *units* beside the one of the request itself, whether they are left or not."""
        self._rate_limits.owe(_payer(identity), identity.request_quota, units)
        self._tell(request, identity)

    def _tell(self, request: Request, identity: Identity) -> None:
        record_of(request.scope).headers |= self._rate_limits.fields(_payer(identity), identity.request_quota)

    def pauses_s(self) -> Iterator[float]:
        """Yield how long to wait before work is tried again, as long as there is any sense in it."""
        return pauses_s(self._clock)

    async def pause(self, request: Request, seconds: float) -> None:
        """Wait; *request* does not count as in progress meanwhile."""
        with aside(request.scope):
            await self._clock.sleep(seconds)

    async def _read_anew(self, request: Request, identity: Identity) -> Identity:
        """Return *identity* as it is now: an operator may have set another quota.

        Who is refused all the time would not notice it. That costs a query a second at most, of each payer.
        """
        now_s = self._clock.monotonic_s()
        self._read_anew_at_s = {
            payer: at_s for payer, at_s in self._read_anew_at_s.items() if now_s - at_s < _SECOND_CHANCE_S
        }
        if _payer(identity) in self._read_anew_at_s:
            return identity
        self._read_anew_at_s[_payer(identity)] = now_s
        return await self.authenticate(request, may_visit=_is_visitor(identity), fresh=True)

    async def _visitor(self, request: Request, *, fresh: bool) -> Identity | None:
        """Return a visitor of the tenant that *request* names, if its storefront is open.

        Who asks does not learn whether the tenant exists. Raises TenantMissing where none is named.
        """
        named = await self._directory.named_by(named_tenant(request), host_name(request), fresh=fresh)
        if named is None:
            raise TenantMissing("Send a credential, or name the tenant that you visit: X-Tenant, or a host of its own.")
        if named.tenant is None or not named.tenant.has_storefront:
            return None
        return self._authenticator.visitor(named.tenant)

    async def _refuse_other_tenants(self, request: Request, identity: Identity) -> None:
        if not all(_is_named(identity, wanted) for wanted in request.headers.getlist("x-tenant")):
            raise TenantMismatch("The credential belongs to another tenant than X-Tenant names: drop the header.")
        if await self._directory.is_another_named(None, host_name(request), identity.tenant_id, identity.tenant_slug):
            raise TenantMismatch("The credential belongs to another tenant than this host: use its own.")


class Caller:
    """The origin of one request."""

    def __init__(self, callers: Callers, request: Request, identity: Identity, *, may_visit: bool) -> None:
        self._callers = callers
        self._request = request
        self._identity = identity
        self._may_visit = may_visit
        self._is_confirmed = False

    @property
    def tenant_id(self) -> UUID:
        return self._identity.tenant_id

    @property
    def actor(self) -> str:
        """Who sends the request, as events name it: the same whatever becomes of the rights."""
        return self._identity.principal.actor

    def owe(self, units: int) -> None:
        """Take *units* of the tenant's quota, beside the one that a request takes, whether they are left or not."""
        self._callers.owe(self._request, self._identity, units)

    async def require_module(self, name: str) -> None:
        """Raise ModuleOff if the module *name* is switched off, also by what is so now."""
        if name in self._identity.principal.modules_off:
            await self.confirm()
            self._identity.principal.require_module(name)

    async def confirm(self) -> None:
        """Find out whether the rights are still in force, unless work was run, which has. Raises as `run` does."""
        if not self._is_confirmed:
            await self.run(self._callers.units.compare_rights)

    async def run(
        self,
        work: Callable[[Context], Awaitable[T]],
        *,
        while_pausing: Callable[[], AbstractAsyncContextManager[None]] = nullcontext,
    ) -> T:
        """Return what *work* returns, run with rights that are still in force.

        What this process remembers of a credential may be older than the tenant's rules, which each unit of work, and
        each refusal that comes before one, compares: then the rights are read again, and *work* runs once more. While
        they change again and again, so does it, for two seconds.

        Raises:
            Unauthenticated: the credential, or its session, is of no use any more, or the storefront is closed.
            TenantDisabled: the tenant was switched off.
            Unavailable: the rules have changed each time, and nothing was done.

        """
        self._is_confirmed = True
        self._identity = await self._callers.authenticate(self._request, may_visit=self._may_visit)  # time has passed
        try:
            return await self._attempt(work)
        except StaleAuthorization:
            await self._read_rights()
        for pause_s in self._callers.pauses_s():
            try:
                return await self._attempt(work)
            except StaleAuthorization:
                async with while_pausing():
                    await self._callers.pause(self._request, pause_s)
                await self._read_rights()
        raise Unavailable("The tenant's access rules are being changed: try again.")

    async def _read_rights(self) -> None:
        self._identity = await self._callers.authenticate(self._request, may_visit=self._may_visit, fresh=True)

    async def _attempt(self, work: Callable[[Context], Awaitable[T]]) -> T:
        context = _context(self._request, self._identity)
        try:
            return await work(context)
        except _MAY_COME_FIRST:
            await self._callers.units.compare_rights(context)
            raise


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


def _is_visitor(identity: Identity) -> bool:
    return identity.principal.kind == "visitor"


def _payer(identity: Identity) -> Payer:
    """Return whose quota a request takes: visitors do not use up that of the tenant's own keys."""
    return (identity.tenant_id, "visitors") if _is_visitor(identity) else identity.tenant_id
