"""Login by an OpenID provider: authorization code with PKCE (OpenID Connect Core 1.0; RFC 9700, section 2.1)."""

import base64
import hashlib
import hmac
import secrets
from typing import NamedTuple, Self
from urllib.parse import quote_plus, urlencode
from uuid import UUID

from cryptography.fernet import Fernet, InvalidToken
from pydantic import BaseModel

from rustok.egress import Egress
from rustok.kernel.ports import Clock
from rustok.kernel.secrets import Secrets
from rustok.modules.access.errors import OidcLoginRefused
from rustok.modules.access.id_token import OidcIdentity, key_id_of, verified
from rustok.modules.access.oidc_documents import OidcDocuments, call, object_of
from rustok.modules.access.oidc_provider import OidcProvider

LOGIN_LIFETIME_S = 600
"""Seconds that somebody has to sign in at the provider."""
_REFUSED = range(400, 500)


class BegunLogin(NamedTuple):
    """*url*: where the browser is to go; *remembered*: what it is to bring back, within LOGIN_LIFETIME_S."""

    url: str
    remembered: str


class _Remembered(BaseModel):
    """What ties the answer of a provider to the login that asked for it, and to the browser that began it."""

    tenant_id: UUID
    state: str
    nonce: str
    code_verifier: str

    @classmethod
    def new(cls, tenant_id: UUID) -> Self:
        state, nonce, code_verifier = (secrets.token_urlsafe(32) for _ in range(3))
        return cls(tenant_id=tenant_id, state=state, nonce=nonce, code_verifier=code_verifier)


class OidcLogin:
    """Logins by one provider. Nothing is kept of one between its beginning and its end, but by the browser."""

    def __init__(self, provider: OidcProvider, egress: Egress, platform_secrets: Secrets, clock: Clock) -> None:
        self._provider = provider
        self._egress = egress
        self._clock = clock
        self._documents = OidcDocuments(provider, egress, clock)
        key = platform_secrets.keyed_hash("oidc-login", provider.name.encode())
        self._seal = Fernet(base64.urlsafe_b64encode(key))

    async def begin(self, tenant_id: UUID) -> BegunLogin:
        """Return where somebody may sign in for *tenant_id*; the provider sends the browser back to its redirect URI.

        That belongs to one provider (RFC 9700, section 4.4.2).

        Raises:
            OidcLoginRefused: the provider signs nobody in for this tenant.
            OidcProviderUnavailable: it does not say where its endpoints are.

        """
        if not self._provider.admits(tenant_id):
            raise OidcLoginRefused("The provider signs nobody in for this tenant.")
        endpoint = (await self._documents.metadata()).authorization_endpoint
        login = _Remembered.new(tenant_id)
        query = {
            "response_type": "code",
            "scope": "openid email",
            "client_id": self._provider.client_id,
            "redirect_uri": self._provider.redirect_uri,
            "state": login.state,
            "nonce": login.nonce,
            "code_challenge": _challenge(login.code_verifier),
            "code_challenge_method": "S256",
        }
        sealed = self._seal.encrypt_at_time(login.model_dump_json().encode(), self._now_s())
        return BegunLogin(f"{endpoint}{'&' if '?' in endpoint else '?'}{urlencode(query)}", sealed.decode())

    async def exchange(self, tenant_id: UUID, code: str, state: str, remembered: str) -> OidcIdentity:
        """Return who has signed in: *code* and *state* are of the provider's redirect, *remembered* is of `begin`.

        Raises:
            OidcLoginRefused: the redirect does not belong to a login that this browser has begun for this tenant in
                the last ten minutes, or the provider does not vouch for anybody.
            OidcProviderUnavailable: the provider does not answer as it should.

        """
        login = self._opened(remembered)
        if login.tenant_id != tenant_id or not hmac.compare_digest(login.state.encode(), state.encode()):
            raise OidcLoginRefused("The answer belongs to another login: begin again.")
        token = await self._id_token(code, login)
        key = await self._documents.key(key_id_of(token))
        return verified(token, key, self._provider, login.nonce, self._clock.now())

    def _opened(self, remembered: str) -> _Remembered:
        try:
            opened = self._seal.decrypt_at_time(remembered.encode(), LOGIN_LIFETIME_S, self._now_s())
        except InvalidToken:
            raise OidcLoginRefused("There is no login under way in this browser: begin again.") from None
        return _Remembered.model_validate_json(opened)

    async def _id_token(self, code: str, login: _Remembered) -> str:
        endpoint = (await self._documents.metadata()).token_endpoint
        form = {
            "grant_type": "authorization_code",
            "code": code,
            "redirect_uri": self._provider.redirect_uri,
            "code_verifier": login.code_verifier,
        }
        headers = {"authorization": self._basic(), "content-type": "application/x-www-form-urlencoded"}
        answer = await call(self._egress, "POST", endpoint, headers, urlencode(form).encode())
        if answer.status in _REFUSED:
            raise OidcLoginRefused(f"The provider answered {answer.status} to the code: begin again.")
        token = object_of(answer).get("id_token")
        if not isinstance(token, str):
            raise OidcLoginRefused("The answer of the provider has no ID token.")
        return token

    def _basic(self) -> str:
        """Return our credentials (RFC 6749, section 2.3.1)."""
        parts = (self._provider.client_id, self._provider.client_secret.get_secret_value())
        return "Basic " + base64.b64encode(":".join(map(quote_plus, parts)).encode()).decode()

    def _now_s(self) -> int:
        return int(self._clock.now().timestamp())


def _challenge(code_verifier: str) -> str:
    """Return what proves later that the verifier was known (RFC 7636, section 4.2)."""
    digest = hashlib.sha256(code_verifier.encode()).digest()
    return base64.urlsafe_b64encode(digest).decode().rstrip("=")
