"""The routes that are open to everybody: what each takes, answers and refuses with.

They are no commands, as there is nobody yet whose permission could be asked for. They are described as commands are.
"""

from dataclasses import dataclass
from typing import Annotated, ClassVar
from uuid import UUID

from pydantic import StringConstraints

from api.faults import TenantMismatch, TenantMissing
from api.routes import PREFIX
from rustok.kernel.errors import RustokError, Unauthenticated
from rustok.kernel.module import Input, Result
from rustok.modules.access import (
    Email,
    NewPassword,
    OidcLoginRefused,
    OidcProviderUnavailable,
    SignInBlocked,
    SignInRefused,
    TooManyHashes,
)

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
    errors=(Unauthenticated, TenantMismatch),
)
CLOSE = Entrance(
    name="access.sessions.close",
    summary="Sign out",
    path=f"{_PATH}/sign-out",
    input=RefreshToken,
    result=SignedOut,
    errors=(Unauthenticated, TenantMismatch),
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
