"""`/api/v1/access/sessions`: whoever has no credential yet gets one here, keeps it, and gives it back.

These are no commands: there is nobody yet whose permission could be asked for, and a password is looked at while no
transaction is open. They are described as commands are.
"""

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Annotated, ClassVar
from uuid import UUID

from pydantic import StringConstraints
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from api.body import BodyLimits, read_fields
from api.faults import TenantMissing
from api.headers import host_name, named_tenant
from api.record import record_of
from api.routes import PREFIX
from api.tenancy import NamedTenant, TenantDirectory
from rustok.dispatch import validate
from rustok.kernel.errors import RustokError, Unauthenticated
from rustok.kernel.module import Input, Result
from rustok.modules.access import (
    Attempt,
    Circumstances,
    Email,
    NewPassword,
    OidcLogin,
    OidcLoginRefused,
    OidcProviderUnavailable,
    Sessions,
    SignedIn,
    SignInBlocked,
    SignInRefused,
    TooManyHashes,
)
from rustok.modules.tenants import ResolvedTenant

_NO_STORE = {"Cache-Control": "no-store"}
_PATH = f"{PREFIX}/access/sessions"


class SignIn(Input):
    """Of a user of the tenant that X-Tenant, or a host of its own, names. `device`: what the last one was answered."""

    example: ClassVar = {"email": "ada@example.com", "password": "correct horse battery staple"}

    email: Email
    password: Annotated[str, StringConstraints(max_length=1024)]
    device: Annotated[str, StringConstraints(max_length=512)] | None = None


class ChangePassword(SignIn):
    """Every other session of the user is closed."""

    example: ClassVar = {**SignIn.example, "new_password": "a horse of another colour"}

    new_password: NewPassword


class RefreshToken(Input):
    example: ClassVar = {"refresh_token": "rtr_0123456789abcdef_0123456789abcdef_1_5f1d9c2ab4e07733"}

    refresh_token: Annotated[str, StringConstraints(max_length=512)]


class Tokens(Result):
    """Send `access_token` as a key is sent; when it is refused, or before, get the next with `refresh_token`, once."""

    token_type: str = "Bearer"  # noqa: S105 - a word of OAuth's
    access_token: str
    expires_in_s: int
    refresh_token: str
    tenant_id: UUID
    user_id: UUID
    session_id: UUID


class TokensOnDevice(Tokens):
    """Keep `device` when the session ends, and send it with the next password: strangers do not hold it up there."""

    device: str


class BeginLogin(Input):
    example: ClassVar = {"provider": "example"}

    provider: Annotated[str, StringConstraints(max_length=32)]


class BegunLogin(Result):
    """Keep `login` in the browser (sessionStorage), and lead it to `url`. It comes back to a page of yours."""

    url: str
    login: str


class EndLogin(BeginLogin):
    """`code` and `state` are of the address that the provider has led the browser to, `login` is what was kept."""

    example: ClassVar = {"provider": "example", "code": "SplxlOBeZQQYbYS6WxSbIA", "state": "af0ifjsldkj", "login": "gA"}

    code: Annotated[str, StringConstraints(max_length=2048)]
    state: Annotated[str, StringConstraints(max_length=256)]
    login: Annotated[str, StringConstraints(max_length=4096)]


class SignedOut(Result):
    """The session has ended."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Entrance:
    """A route that is open to everybody. `names_tenant`: the request says whom it is for."""

    name: str
    summary: str
    path: str
    input: type[Input]
    result: type[Result]
    status: int = 200
    names_tenant: bool = False
    errors: tuple[type[RustokError], ...]


OPEN = Entrance(
    name="access.sessions.open",
    summary="Sign in with an address and a password",
    path=_PATH,
    input=SignIn,
    result=TokensOnDevice,
    status=201,
    names_tenant=True,
    errors=(SignInRefused, SignInBlocked, TooManyHashes, TenantMissing),
)
REFRESH = Entrance(
    name="access.sessions.refresh",
    summary="Get the next tokens of a session",
    path=f"{_PATH}/refresh",
    input=RefreshToken,
    result=Tokens,
    errors=(Unauthenticated,),
)
CLOSE = Entrance(
    name="access.sessions.close",
    summary="Sign out",
    path=f"{_PATH}/sign-out",
    input=RefreshToken,
    result=SignedOut,
    errors=(Unauthenticated,),
)
CHANGE_PASSWORD = Entrance(
    name="access.passwords.change",
    summary="Sign in, and have another password from then on",
    path=f"{PREFIX}/access/passwords",
    input=ChangePassword,
    result=TokensOnDevice,
    names_tenant=True,
    errors=(SignInRefused, SignInBlocked, TooManyHashes, TenantMissing),
)
BEGIN = Entrance(
    name="access.logins.begin",
    summary="Begin to sign in by an OpenID provider",
    path=f"{PREFIX}/access/logins",
    input=BeginLogin,
    result=BegunLogin,
    names_tenant=True,
    errors=(OidcLoginRefused, OidcProviderUnavailable, TenantMissing),
)
END = Entrance(
    name="access.logins.end",
    summary="Sign in by what an OpenID provider has sent the browser back with",
    path=f"{PREFIX}/access/logins/end",
    input=EndLogin,
    result=Tokens,
    status=201,
    names_tenant=True,
    errors=(OidcLoginRefused, OidcProviderUnavailable, TenantMissing),
)
ENTRANCES = (OPEN, REFRESH, CLOSE, CHANGE_PASSWORD, BEGIN, END)


def sign_in_routes(
    sessions: Sessions, logins: Mapping[str, OidcLogin], directory: TenantDirectory, limits: BodyLimits
) -> list[Route]:
    """Return the routes of sessions, and of logins by providers.

    They take from nobody's quota, which would tell whose tenant there is: passwords are looked at two at a time, and
    attempts are counted.
    """

    async def tenant_or_none(request: Request) -> UUID:
        """Return the id of the tenant that *request* names, or what stands for one that is none."""
        name, tenant = await _named(request, directory)
        return sessions.absent_tenant(name) if tenant is None else tenant.id

    async def open_session(request: Request) -> Response:
        tenant_id = await tenant_or_none(request)
        data = validate(SignIn, await read_fields(request, limits, optional=False))
        return _answer(await sessions.sign_in(_attempt(tenant_id, data), _circumstances(request)), OPEN)

    async def refresh(request: Request) -> Response:
        data = validate(RefreshToken, await read_fields(request, limits, optional=False))
        return _answer(await sessions.refresh(data.refresh_token, _circumstances(request)), REFRESH)

    async def close(request: Request) -> Response:
        data = validate(RefreshToken, await read_fields(request, limits, optional=False))
        await sessions.sign_out(data.refresh_token, _circumstances(request))
        return _secret(SignedOut(), CLOSE.status)

    async def change_password(request: Request) -> Response:
        tenant_id = await tenant_or_none(request)
        data = validate(ChangePassword, await read_fields(request, limits, optional=False))
        found = await sessions.change_password(_attempt(tenant_id, data), data.new_password, _circumstances(request))
        return _answer(found, CHANGE_PASSWORD)

    async def begin_login(request: Request) -> Response:
        tenant = (await _named(request, directory)).tenant
        data = validate(BeginLogin, await read_fields(request, limits, optional=False))
        begun = await _login(logins, data.provider).begin(_known(tenant).id)
        return _secret(BegunLogin(url=begun.url, login=begun.remembered), BEGIN.status)

    async def end_login(request: Request) -> Response:
        tenant = (await _named(request, directory)).tenant
        data = validate(EndLogin, await read_fields(request, limits, optional=False))
        tenant_id = _known(tenant).id
        identity = await _login(logins, data.provider).exchange(tenant_id, data.code, data.state, data.login)
        found = await sessions.sign_in_by_provider(tenant_id, identity, _circumstances(request), provider=data.provider)
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


async def _named(request: Request, directory: TenantDirectory) -> NamedTenant:
    """Return the tenant that *request* names. Raises TenantMissing where it names none."""
    named = await directory.named_by(named_tenant(request), host_name(request))
    if named is None:
        raise TenantMissing("Say to which tenant you sign in: X-Tenant, or a host of its own.")
    return named


def _attempt(tenant_id: UUID, data: SignIn) -> Attempt:
    return Attempt(tenant_id, data.email, data.password, data.device)


def _circumstances(request: Request) -> Circumstances:
    record = record_of(request.scope)
    return Circumstances(record.correlation_id, record.traceparent)


def _known(tenant: ResolvedTenant | None) -> ResolvedTenant:
    if tenant is None:
        raise OidcLoginRefused("The provider signs nobody in for this tenant.")
    return tenant


def _login(logins: Mapping[str, OidcLogin], provider: str) -> OidcLogin:
    if provider not in logins:
        raise OidcLoginRefused("There is no such provider: an operator configures them.")
    return logins[provider]


def _answer(signed_in: SignedIn, entrance: Entrance) -> Response:
    return _secret(entrance.result(**asdict(signed_in)), entrance.status)


def _secret(result: Result, status: int) -> Response:
    return Response(result.model_dump_json(), status, _NO_STORE, "application/json")
