"""`/api/v1/access/sessions`: whoever has no credential yet gets one here, keeps it, and gives it back.

No transaction is open while a password is looked at.
"""

from collections.abc import Mapping
from dataclasses import asdict
from uuid import UUID

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from api.body import BodyLimits, read_fields
from api.entrances import (
    BEGIN,
    CHANGE_PASSWORD,
    CLOSE,
    END,
    OPEN,
    REFRESH,
    BeginLogin,
    BegunLogin,
    ChangePassword,
    EndLogin,
    Entrance,
    RefreshToken,
    SignedOut,
    SignIn,
)
from api.faults import TenantMismatch, TenantMissing
from api.headers import host_name, named_tenant
from api.record import record_of
from api.tenancy import TenantDirectory
from rustok.bootstrap import Platform
from rustok.dispatch import validate
from rustok.kernel.module import Result
from rustok.modules.access import Attempt, Circumstances, OidcLogin, OidcLoginRefused, SignedIn

_NO_STORE = {"Cache-Control": "no-store"}


def sign_in_routes(
    platform: Platform, logins: Mapping[str, OidcLogin], directory: TenantDirectory, limits: BodyLimits
) -> list[Route]:
    """Return the routes of sessions, and of logins by providers.

    They take from nobody's quota, which would tell whose tenant there is: passwords are looked at two at a time, and
    attempts are counted.
    """
    sign_ins, sessions = platform.sign_ins, platform.sessions

    async def named_tenant_id(request: Request) -> UUID:
        """Return the id of the tenant that *request* names, or what stands for one that is none.

        Raises TenantMissing where it names none.
        """
        named = await directory.named_by(named_tenant(request), host_name(request))
        if named is None:
            raise TenantMissing("Say to which tenant you sign in: X-Tenant, or a host of its own.")
        return sign_ins.absent_tenant(named.name) if named.tenant is None else named.tenant.id

    async def refresh_token(request: Request) -> str:
        """Return the refresh token in the body.

        Raises:
            Unauthenticated: it is none.
            TenantMismatch: it belongs to another tenant than the request names.

        """
        token = validate(RefreshToken, await read_fields(request, limits, optional=False)).refresh_token
        await _refuse_other_tenants(directory, request, sessions.tenant_of(token))
        return token

    async def open_session(request: Request) -> Response:
        tenant_id = await named_tenant_id(request)
        data = validate(SignIn, await read_fields(request, limits, optional=False))
        return _answer(await sign_ins.by_password(_attempt(tenant_id, data), _circumstances(request)), OPEN)

    async def refresh(request: Request) -> Response:
        token = await refresh_token(request)
        return _answer(await sessions.refresh(token, _circumstances(request)), REFRESH)

    async def close(request: Request) -> Response:
        await sessions.sign_out(await refresh_token(request), _circumstances(request))
        return _secret(SignedOut(), CLOSE.status)

    async def change_password(request: Request) -> Response:
        tenant_id = await named_tenant_id(request)
        data = validate(ChangePassword, await read_fields(request, limits, optional=False))
        found = await sign_ins.change_password(_attempt(tenant_id, data), data.new_password, _circumstances(request))
        return _answer(found, CHANGE_PASSWORD)

    async def begin_login(request: Request) -> Response:
        tenant_id = await named_tenant_id(request)
        data = validate(BeginLogin, await read_fields(request, limits, optional=False))
        begun = await _login(logins, data.provider).begin(tenant_id)
        return _secret(BegunLogin(url=begun.url, login=begun.remembered), BEGIN.status)

    async def end_login(request: Request) -> Response:
        tenant_id = await named_tenant_id(request)
        data = validate(EndLogin, await read_fields(request, limits, optional=False))
        identity = await _login(logins, data.provider).exchange(tenant_id, data.code, data.state, data.login)
        found = await sign_ins.by_provider(tenant_id, identity, _circumstances(request), provider=data.provider)
        return _answer(found, END)

    endpoints = {
        OPEN: open_session,
        REFRESH: refresh,
        CLOSE: close,
        CHANGE_PASSWORD: change_password,
        BEGIN: begin_login,
        END: end_login,
    }
    return [Route(entrance.path, endpoint, methods=["POST"]) for entrance, endpoint in endpoints.items()]


async def _refuse_other_tenants(directory: TenantDirectory, request: Request, tenant_id: UUID) -> None:
    if await directory.is_another_named(named_tenant(request), host_name(request), tenant_id):
        raise TenantMismatch("The token belongs to another tenant than X-Tenant or this host: use its own.")


def _attempt(tenant_id: UUID, data: SignIn) -> Attempt:
    return Attempt(tenant_id, data.email, data.password, data.device)


def _circumstances(request: Request) -> Circumstances:
    record = record_of(request.scope)
    return Circumstances(record.correlation_id, record.traceparent)


def _login(logins: Mapping[str, OidcLogin], provider: str) -> OidcLogin:
    if provider not in logins:
        raise OidcLoginRefused("There is no such provider: an operator configures them.")
    return logins[provider]


def _answer(signed_in: SignedIn, entrance: Entrance) -> Response:
    return _secret(entrance.result(**asdict(signed_in)), entrance.status)


def _secret(result: Result, status: int) -> Response:
    return Response(result.model_dump_json(), status, _NO_STORE, "application/json")
