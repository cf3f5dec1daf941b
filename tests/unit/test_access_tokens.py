"""Access tokens: one that was made here passes, and whatever else somebody sends does not."""

import base64
import hmac
import json
from collections.abc import Callable
from typing import Any
from uuid import UUID, uuid4

import jwt
import pytest
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from rustok.kernel.errors import Unauthenticated
from rustok.kernel.secrets import Secrets
from rustok.modules.access.access_token import LIFETIME_S, AccessTokens
from rustok.modules.access.refresh_token import RefreshToken, RefreshTokens
from rustok.testing import FixedClock

SECRETS = Secrets("a secret of the tests, long enough")
KEY = SECRETS.keyed_hash("access-token", b"")
CLOCK = FixedClock()
TENANT, OTHER_TENANT, USER, SESSION = uuid4(), uuid4(), uuid4(), uuid4()
TOKENS = AccessTokens(SECRETS, CLOCK)
NOW = int(CLOCK.now().timestamp())
HEADER = {"typ": "at+jwt", "kid": "rustok-1", "alg": "HS256"}
RSA = rsa.generate_private_key(65537, 2048)
EC = ec.generate_private_key(ec.SECP256R1())
PUBLIC = RSA.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
JWK = json.loads(jwt.algorithms.RSAAlgorithm.to_jwk(RSA.public_key()))


def good() -> str:
    return TOKENS.issue(TENANT, USER, SESSION)


def claims(**changes: Any) -> dict[str, Any]:
    """Return the claims of a good token with *changes*; a change to None takes a claim away."""
    found = json.loads(unspelled(good().split(".")[1])) | changes
    return {name: value for name, value in found.items() if value is not None}


def spelled(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def unspelled(text: str) -> bytes:
    return base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))


def signed(header: Any, payload: Any, key: bytes = KEY, digest: str = "sha256") -> str:
    """Return a token with just this header and payload, JSON or bytes, signed as ours are."""
    parts = [part if isinstance(part, bytes) else json.dumps(part).encode() for part in (header, payload)]
    body = ".".join(map(spelled, parts))
    return f"{body}.{spelled(hmac.digest(key, body.encode(), digest))}"


def with_header(**changes: Any) -> str:
    """Return a token that somebody who has our key signed, with a header of their own."""
    return signed({**HEADER, **changes}, claims())


def with_claims(**changes: Any) -> str:
    """Return a token that somebody who has our key signed, with claims of their own."""
    return signed(HEADER, claims(**changes))


def unsigned(algorithm: str) -> str:
    return f"{spelled(json.dumps({**HEADER, 'alg': algorithm}).encode())}.{spelled(json.dumps(claims()).encode())}."


def with_payload_of(payload: dict[str, Any]) -> str:
    header, _, signature = good().split(".")
    return f"{header}.{spelled(json.dumps(payload).encode())}.{signature}"


def last_bits_changed(token: str) -> str:
    """Return *token* with a signature that means the same bytes in another spelling."""
    alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"
    return token[:-1] + alphabet[alphabet.index(token[-1]) ^ 1]


def duplicated(name: str, value: str) -> str:
    payload = json.dumps(claims())
    return signed(HEADER, f'{payload[:-1]}, "{name}": "{value}"}}'.encode())


ABUSES: dict[str, Callable[[], str]] = {
    "empty": lambda: "",
    "dots": lambda: "..",
    "one segment": lambda: good().split(".")[0],
    "two segments": lambda: good().rpartition(".")[0],
    "four segments": lambda: f"{good()}.{spelled(b'more')}",
    "five segments, as a JWE": lambda: ".".join([*good().split("."), "a", "b"]),
    "huge": lambda: with_claims(jti="a" * 100_000),
    "no JSON in the header": lambda: signed(b"header", claims()),
    "no JSON in the payload": lambda: signed(HEADER, b"payload"),
    "a list for a payload": lambda: signed(HEADER, [claims()]),
    "a token within a token": lambda: signed({**HEADER, "cty": "JWT"}, good().encode()),
    "alg none": lambda: unsigned("none"),
    "alg None": lambda: unsigned("None"),
    "alg nOnE": lambda: unsigned("nOnE"),
    "alg none with our signature": lambda: with_header(alg="none"),
    "alg missing": lambda: signed({"typ": "at+jwt", "kid": "rustok-1"}, claims()),
    "alg a list": lambda: with_header(alg=["HS256"]),
    "alg HS384": lambda: signed({**HEADER, "alg": "HS384"}, claims(), digest="sha384"),
    "alg HS512": lambda: signed({**HEADER, "alg": "HS512"}, claims(), digest="sha512"),
    "alg RS256, signed by somebody": lambda: jwt.encode(claims(), RSA, "RS256", headers={**HEADER, "alg": "RS256"}),
    "alg ES256, signed by somebody": lambda: jwt.encode(claims(), EC, "ES256", headers={**HEADER, "alg": "ES256"}),
    "HMAC with a public key": lambda: signed(HEADER, claims(), PUBLIC),
    "HMAC with an empty key": lambda: signed(HEADER, claims(), b""),
    "HMAC with the platform's secret itself": lambda: signed(HEADER, claims(), b"a secret of the tests, long enough"),
    "jku": lambda: with_header(jku="https://evil.example/keys"),
    "x5u": lambda: with_header(x5u="https://evil.example/cert"),
    "jwk": lambda: with_header(jwk=JWK),
    "crit": lambda: with_header(crit=["exp"]),
    "b64 false": lambda: with_header(b64=False, crit=["b64"]),
    "kid missing": lambda: signed({"typ": "at+jwt", "alg": "HS256"}, claims()),
    "kid a path": lambda: with_header(kid="../../../../dev/null"),
    "kid SQL": lambda: with_header(kid="x' UNION SELECT 'key"),
    "kid a list": lambda: with_header(kid=["rustok-1"]),
    "kid huge": lambda: with_header(kid="k" * 5000),
    "typ JWT": lambda: with_header(typ="JWT"),
    "typ of an id token": lambda: signed({"alg": "HS256", "kid": "rustok-1"}, claims(nonce="n")),
    "expired": lambda: with_claims(iat=NOW - 700, nbf=NOW - 700, exp=NOW - 100),
    "expired this very second": lambda: with_claims(iat=NOW - LIFETIME_S, nbf=NOW - LIFETIME_S, exp=NOW),
    "not yet valid": lambda: with_claims(nbf=NOW + 120, exp=NOW + 500),
    "exp missing": lambda: with_claims(exp=None),
    "exp a text": lambda: with_claims(exp=str(NOW + 60)),
    "exp a fraction": lambda: with_claims(exp=NOW + 60.5),
    "exp true": lambda: with_claims(exp=True),
    "exp infinite": lambda: signed(HEADER, json.dumps(claims(exp=-1)).replace("-1", "Infinity").encode()),
    "exp in a thousand years": lambda: with_claims(exp=NOW + 31_536_000_000),
    "exp beyond any clock": lambda: with_claims(exp=10**30),
    "exp negative": lambda: with_claims(exp=-1),
    "nbf missing": lambda: with_claims(nbf=None),
    "another issuer": lambda: with_claims(iss="https://evil.example"),
    "another audience": lambda: with_claims(aud="another-api"),
    "several audiences": lambda: with_claims(aud=["rustok-api", "another-api"]),
    "no audience": lambda: with_claims(aud=None),
    "no subject": lambda: with_claims(sub=None),
    "a subject that is no id": lambda: with_claims(sub="admin"),
    "a subject that is a number": lambda: with_claims(sub=7),
    "a subject that is a list": lambda: with_claims(sub=[str(USER)]),
    "a subject in another spelling": lambda: with_claims(sub=f"{{{USER}}}"),
    "no id of its own": lambda: with_claims(jti=None),
    "an id of its own that is a number": lambda: with_claims(jti=7),
    "no tenant": lambda: with_claims(tid=None),
    "no session": lambda: with_claims(sid=None),
    "a claim of one's own": lambda: with_claims(permissions=["*"]),
    "another tenant": lambda: with_payload_of(claims(tid=str(OTHER_TENANT))),
    "another user": lambda: with_payload_of(claims(sub=str(uuid4()))),
    "a claim twice": lambda: duplicated("tid", str(OTHER_TENANT)),
    "a signature cut off": lambda: good()[:-4],
    "a signature of zeros": lambda: f"{good().rpartition('.')[0]}.{spelled(bytes(32))}",
    "a signature in another spelling": lambda: last_bits_changed(good()),
    "padding": lambda: f"{good()}=",
    "white space": lambda: f" {good()}",
    "a line break": lambda: f"{good()}\n",
    "a letter that looks alike": lambda: good().replace("e", "е", 1),
    "a NUL": lambda: f"{good()}\0",
    "a refresh token": lambda: RefreshTokens(SECRETS).issue(RefreshToken(TENANT, SESSION, 1)),
    "a token of another installation": lambda: AccessTokens(Secrets("another secret, as long"), CLOCK).issue(
        TENANT, USER, SESSION
    ),
}


def test_a_token_that_was_made_here_says_who_has_signed_in() -> None:
    """And until when."""
    token = TOKENS.read(good())

    assert (token.tenant_id, token.principal_id, token.session_id) == (TENANT, USER, SESSION)
    assert int(token.expires_at.timestamp()) == NOW + LIFETIME_S


def test_what_the_table_signs_is_signed_as_ours_are() -> None:
    """Without a change it passes: what a row changes is what it is refused for."""
    assert TOKENS.read(with_claims()).principal_id == USER
    assert TOKENS.read(with_header()).principal_id == USER


@pytest.mark.parametrize("abuse", ABUSES)
def test_no_other_token_passes(abuse: str) -> None:
    """With one answer, which does not tell why."""
    with pytest.raises(Unauthenticated) as refusal:
        TOKENS.read(ABUSES[abuse]())

    assert str(refusal.value).startswith("The access token is not valid")


def test_a_token_ends() -> None:
    """After its lifetime, to the second."""
    clock = FixedClock()
    tokens = AccessTokens(SECRETS, clock)
    token = tokens.issue(TENANT, USER, SESSION)

    clock.advance(LIFETIME_S - 1)
    assert tokens.read(token).session_id == UUID(str(SESSION))
    clock.advance(1)
    with pytest.raises(Unauthenticated):
        tokens.read(token)
