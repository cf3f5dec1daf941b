"""ID tokens that are not signed as agreed: functions that make one of the claims that a genuine one would have."""

import base64
import hmac
import json
from collections.abc import Callable
from typing import Any

import jwt
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from tests.integration.access.openid import CLIENT_SECRET, RSA_KEY, public_jwk

OTHER_KEY = rsa.generate_private_key(65537, 2048)
PUBLIC_PEM = RSA_KEY.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)


def by_hand(header: dict[str, Any], sign: Callable[[bytes], bytes]) -> Callable[[dict[str, Any]], str]:
    """Return what makes tokens with *header*, whose signature is what *sign* says."""

    def make(claims: dict[str, Any]) -> str:
        parts = (json.dumps({"kid": "1", **header}).encode(), json.dumps(claims).encode())
        signed = b".".join(base64.urlsafe_b64encode(part).rstrip(b"=") for part in parts)
        return (signed + b"." + base64.urlsafe_b64encode(sign(signed)).rstrip(b"=")).decode()

    return make


def by_key(key: Any, algorithm: str = "RS256", **header: Any) -> Callable[[dict[str, Any]], str]:
    return lambda claims: jwt.encode(claims, key, algorithm, {"kid": "1", **header})


def hs256(key: bytes) -> Callable[[dict[str, Any]], str]:
    return by_hand({"alg": "HS256"}, lambda signed: hmac.digest(key, signed, "sha256"))


FORGED: dict[str, Callable[[dict[str, Any]], str]] = {
    "alg none": by_hand({"alg": "none"}, lambda _: b""),
    "alg nOnE": by_hand({"alg": "nOnE"}, lambda _: b""),
    "alg none, with a signature": by_hand({"alg": "none"}, lambda _: b"x" * 256),
    "no signature": by_hand({"alg": "RS256"}, lambda _: b""),
    "signature of zeros": by_hand({"alg": "RS256"}, lambda _: bytes(256)),
    "no alg": by_hand({}, lambda _: bytes(256)),
    "alg as a list": by_hand({"alg": ["RS256"]}, lambda _: bytes(256)),
    "HS256 by the client secret": hs256(CLIENT_SECRET.encode()),
    "HS256 by the public key": hs256(PUBLIC_PEM),
    "HS256 by nothing": hs256(b""),
    "another key": by_key(OTHER_KEY),
    "another key that it brings along": by_key(OTHER_KEY, jwk=public_jwk(OTHER_KEY, "1")),
    "another key that it points to": by_key(OTHER_KEY, jku="https://keys.example/jku", x5u="https://keys.example/x5u"),
    "RS512": by_key(RSA_KEY, "RS512"),
    "PS256": by_key(RSA_KEY, "PS256"),
    "ES256": by_key(ec.generate_private_key(ec.SECP256R1()), "ES256"),
    "an empty kid": by_key(RSA_KEY, kid=""),
    "kid with a path": by_key(RSA_KEY, kid="../1"),
    "kid as a number": by_hand({"alg": "RS256", "kid": 1}, lambda _: bytes(256)),
    "no kid": by_hand({"alg": "RS256", "kid": None}, lambda _: bytes(256)),
    "an access token": by_key(RSA_KEY, typ="at+jwt"),
    "a logout token": by_key(RSA_KEY, typ="logout+jwt"),
    "crit": by_hand({"alg": "RS256", "crit": ["exp"]}, lambda _: bytes(256)),
    "b64 false": by_hand({"alg": "RS256", "b64": False, "crit": ["b64"]}, lambda _: bytes(256)),
    "signature cut": lambda claims: by_key(RSA_KEY)(claims)[:-4],
    "four segments": lambda claims: by_key(RSA_KEY)(claims) + ".x",
    "huge": lambda claims: by_key(RSA_KEY)({**claims, "padding": "p" * 20_000}),
    "empty": lambda _: "",
    "dots only": lambda _: "..",
    "words": lambda _: "no token",
    "Cyrillic": lambda _: "\u0430.\u0430.\u0430",
}
