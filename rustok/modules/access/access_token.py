"""Access tokens: JWTs of RFC 9068, which say who has signed in, and in which session. What one may do is not in them.

They are checked as RFC 8725 has it: one algorithm, one key, every claim, and nothing that a token asks for.
"""

import base64
import hmac
import re
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any
from uuid import UUID, uuid4

import jwt

from rustok.kernel.errors import RustokError, Unauthenticated
from rustok.kernel.ports import Clock
from rustok.kernel.secrets import Secrets
from rustok.kernel.strict_json import parse_object

LIFETIME_S = 600
_LEEWAY_S = 30
"""By which clocks of two processes may differ."""
_LONGEST = 1024
_FORM = re.compile(r"[A-Za-z0-9_-]+\.[A-Za-z0-9_-]+\.[A-Za-z0-9_-]+", re.ASCII)
_ALGORITHM = "HS256"
_HEADER = {"typ": "at+jwt", "kid": "rustok-1", "alg": _ALGORITHM}
_ISSUER, _AUDIENCE = "rustok", "rustok-api"
_CLAIMS = {"iss", "aud", "sub", "tid", "sid", "iat", "nbf", "exp", "jti"}
_MOMENTS = ("iat", "nbf", "exp")
_REFUSED = "The access token is not valid, or not any more: refresh it, or sign in again."


@dataclass(frozen=True, slots=True)
class AccessToken:
    tenant_id: UUID
    principal_id: UUID
    session_id: UUID
    expires_at: datetime


class AccessTokens:
    """Makes and reads tokens, signed with a key that is derived from the platform's secret."""

    def __init__(self, secrets: Secrets, clock: Clock) -> None:
        self._key = secrets.keyed_hash("access-token", b"")
        self._clock = clock

    def issue(self, tenant_id: UUID, principal_id: UUID, session_id: UUID) -> str:
        """Return a token that is taken for LIFETIME_S seconds."""
        now = int(self._clock.now().timestamp())
        claims = {
            "iss": _ISSUER,
            "aud": _AUDIENCE,
            "sub": str(principal_id),
            "tid": str(tenant_id),
            "sid": str(session_id),
            "iat": now,
            "nbf": now,
            "exp": now + LIFETIME_S,
            "jti": str(uuid4()),
        }
        return jwt.encode(claims, self._key, _ALGORITHM, headers=_HEADER)

    def read(self, text: str) -> AccessToken:
        """Return what *text* says.

        Raises:
            Unauthenticated: it was not made here, or is not taken any more; the message does not tell which.

        """
        try:
            return self._read(text)
        except (jwt.PyJWTError, RustokError, ValueError, RecursionError):
            raise Unauthenticated(_REFUSED) from None

    def _read(self, text: str) -> AccessToken:
        if len(text) > _LONGEST or not _FORM.fullmatch(text):
            raise ValueError("no token of ours")
        if jwt.get_unverified_header(text) != _HEADER:
            raise ValueError("no header of ours")
        claims = parse_object(jwt.PyJWS().decode(text, self._key, [_ALGORITHM]))
        signed, _, signature = text.rpartition(".")
        if not hmac.compare_digest(signature, _base64(hmac.digest(self._key, signed.encode(), "sha256"))):
            raise ValueError("a signature in another spelling")
        if claims.keys() != _CLAIMS or (claims["iss"], claims["aud"]) != (_ISSUER, _AUDIENCE):
            raise ValueError("no claims of ours")
        if any(type(claims[moment]) is not int for moment in _MOMENTS):
            raise ValueError("no moments")
        now_s = self._clock.now().timestamp()
        if not claims["nbf"] - _LEEWAY_S <= now_s < claims["exp"] <= claims["nbf"] + LIFETIME_S:
            raise ValueError("not now")
        tenant_id, principal_id, session_id, _ = (_id(claims[name]) for name in ("tid", "sub", "sid", "jti"))
        return AccessToken(tenant_id, principal_id, session_id, datetime.fromtimestamp(claims["exp"], UTC))


def _id(value: Any) -> UUID:
    found = UUID(str(value))
    if str(found) != value:
        raise ValueError("an id in another spelling")
    return found


def _base64(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()
