"""The keys of an OpenID provider: of what it publishes those that its ID tokens may be signed with."""

from collections.abc import Iterator, Mapping
from typing import Annotated, Any, Literal

from jwt import PyJWK, PyJWTError
from pydantic import BaseModel, StringConstraints, ValidationError

from rustok.modules.access.oidc_provider import Algorithm

_MOST_KEYS = 100
_Coordinate = Annotated[str, StringConstraints(pattern="^[A-Za-z0-9_-]{43}$")]
"""32 bytes in base64url."""


class _Key(BaseModel):
    """The public members of a JWK (RFC 7517); what else one has, a private key among it, is not looked at."""

    kid: Annotated[str, StringConstraints(min_length=1, max_length=255)]


class _Rsa(_Key):
    """2,048 to 8,192 bits, and an exponent of 32 at most: what is larger takes long to verify with."""

    kty: Literal["RSA"]
    n: Annotated[str, StringConstraints(pattern="^[A-Za-z0-9_-]{342,1366}$")]
    e: Annotated[str, StringConstraints(pattern="^[A-Za-z0-9_-]{1,6}$")]


class _Ec(_Key):
    kty: Literal["EC"]
    crv: Literal["P-256"]
    x: _Coordinate
    y: _Coordinate


class _Okp(_Key):
    kty: Literal["OKP"]
    crv: Literal["Ed25519"]
    x: _Coordinate


_FORMS: Mapping[Algorithm, type[_Key]] = {"RS256": _Rsa, "ES256": _Ec, "EdDSA": _Okp}


def signing_keys(document: Mapping[str, Any], algorithm: Algorithm) -> dict[str, PyJWK]:
    """Return by their ids the keys of a JWK Set that sign by *algorithm*; others in it are none of ours."""
    members = document.get("keys")
    candidates = members[:_MOST_KEYS] if isinstance(members, list) else []
    return dict(_usable(candidates, algorithm))


def _usable(candidates: list[Any], algorithm: Algorithm) -> Iterator[tuple[str, PyJWK]]:
    for jwk in candidates:
        try:
            key = _FORMS[algorithm].model_validate(jwk, strict=True)
            if jwk.get("use", "sig") == "sig" and jwk.get("alg", algorithm) == algorithm:
                yield key.kid, PyJWK(key.model_dump(), algorithm)
        except (ValidationError, PyJWTError):
            continue
