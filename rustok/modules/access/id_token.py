"""ID tokens: what an OpenID provider says of somebody who has just signed in there."""

import hmac
from datetime import datetime
from typing import Annotated, Any, NamedTuple

from jwt import PyJWK, PyJWS, PyJWTError
from pydantic import BaseModel, BeforeValidator, StringConstraints, ValidationError

from rustok.kernel import strict_json
from rustok.kernel.errors import RustokError
from rustok.modules.access.errors import OidcLoginRefused
from rustok.modules.access.oidc_provider import OidcProvider
from rustok.modules.access.schemas import Email

_LEEWAY_S = 60
"""By so much the provider's clock may differ from ours."""
_OLDEST_S = 600
"""A token is made for the login that it ends: it was issued since then."""
_LIMIT = 16_384
"""Characters of a token that are looked at."""
_READER = PyJWS(options={"verify_signature": True, "enforce_minimum_key_length": True})
_Text = Annotated[str, StringConstraints(min_length=1, max_length=255)]


class OidcIdentity(NamedTuple):
    """Who somebody is: *subject*, in the words of *issuer*, for ever; *email*, which it has verified, for now."""

    issuer: str
    subject: str
    email: str


class _Claims(BaseModel):
    iss: str
    sub: _Text
    aud: Annotated[list[str], BeforeValidator(lambda aud: [aud] if isinstance(aud, str) else aud)]
    azp: str | None = None
    exp: int
    iat: int
    nonce: str
    email: Email | None = None
    email_verified: bool = False


def key_id_of(token: str) -> str:
    """Return which key *token* says that it is signed with.

    Raises:
        OidcLoginRefused: it is no ID token, or names no key.

    """
    header = _header(token)
    kid = header.get("kid")
    if not isinstance(kid, str) or str(header.get("typ", "JWT")).upper() != "JWT":
        raise OidcLoginRefused("The ID token names no key, or is a token of another kind.")
    return kid


def verified(token: str, key: PyJWK, provider: OidcProvider, nonce: str, now: datetime) -> OidcIdentity:
    """Return whom *token* is about (OpenID Connect Core 1.0, section 3.1.3.7).

    Raises:
        OidcLoginRefused: it is not signed with *key*, is not for us or for the login of *nonce*, is not of now, or
            the provider has not verified the email.

    """
    claims = _claims(token, key, provider)
    now_s = now.timestamp()
    if claims.iss != provider.issuer:
        raise OidcLoginRefused("The ID token is of another issuer.")
    if provider.client_id not in claims.aud or claims.azp not in _parties(claims, provider):
        raise OidcLoginRefused("The ID token is for somebody else.")
    if not now_s - _OLDEST_S - _LEEWAY_S < claims.iat < now_s + _LEEWAY_S or claims.exp + _LEEWAY_S <= now_s:
        raise OidcLoginRefused("The ID token has expired, or is not of now.")
    if not hmac.compare_digest(claims.nonce.encode(), nonce.encode()):
        raise OidcLoginRefused("The ID token belongs to another login.")
    if claims.email is None or not claims.email_verified:
        raise OidcLoginRefused("The provider does not say that it has verified the email.")
    return OidcIdentity(claims.iss, claims.sub, claims.email)


def _claims(token: str, key: PyJWK, provider: OidcProvider) -> _Claims:
    try:
        payload = _READER.decode(token, key, [provider.algorithm])
        return _Claims.model_validate(strict_json.parse_object(payload), strict=True)
    except PyJWTError:
        raise OidcLoginRefused("The ID token is not signed as it should be.") from None
    except (RustokError, ValidationError):
        raise OidcLoginRefused("The ID token lacks a claim, or has one in another form.") from None


def _header(token: str) -> dict[str, Any]:
    try:
        if len(token) <= _LIMIT:
            return _READER.get_unverified_header(token)
    except (PyJWTError, UnicodeError):
        pass
    raise OidcLoginRefused("The answer of the provider has no ID token.")


def _parties(claims: _Claims, provider: OidcProvider) -> tuple[str | None, ...]:
    """Return whom the token may be issued to: us, which is to be said where it is for others, too."""
    return (provider.client_id,) if len(claims.aud) > 1 else (provider.client_id, None)
