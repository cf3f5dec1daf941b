"""Of what an OpenID provider publishes, only keys that fit the agreed algorithm, and are of sound size, are used."""

import base64
from typing import Any

import jwt
import pytest
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa

from rustok.modules.access.oidc_keys import signing_keys
from rustok.modules.access.oidc_provider import Algorithm

RSA_KEY = rsa.generate_private_key(65537, 2048)
EC_KEY = ec.generate_private_key(ec.SECP256R1())
ED_KEY = ed25519.Ed25519PrivateKey.generate()
RSA_JWK: dict[str, Any] = {"kid": "1", **jwt.algorithms.RSAAlgorithm.to_jwk(RSA_KEY.public_key(), as_dict=True)}
EC_JWK: dict[str, Any] = {"kid": "1", **jwt.algorithms.ECAlgorithm.to_jwk(EC_KEY.public_key(), as_dict=True)}
ED_JWK: dict[str, Any] = {"kid": "1", **jwt.algorithms.OKPAlgorithm.to_jwk(ED_KEY.public_key(), as_dict=True)}


def _number(value: int) -> str:
    return base64.urlsafe_b64encode(value.to_bytes((value.bit_length() + 7) // 8)).decode().rstrip("=")


@pytest.mark.parametrize(
    ("algorithm", "jwk", "key"), [("RS256", RSA_JWK, RSA_KEY), ("ES256", EC_JWK, EC_KEY), ("EdDSA", ED_JWK, ED_KEY)]
)
def test_a_published_key_verifies_what_its_owner_signs(algorithm: Algorithm, jwk: dict[str, Any], key: Any) -> None:
    """The control: each algorithm has its kind of key."""
    keys = signing_keys({"keys": [jwk]}, algorithm)

    token = jwt.PyJWS().encode(b"said", key, algorithm)
    assert jwt.PyJWS().decode(token, keys["1"], [algorithm]) == b"said"


@pytest.mark.parametrize(
    ("algorithm", "jwk"),
    [
        ("RS256", EC_JWK),
        ("RS256", ED_JWK),
        ("ES256", RSA_JWK),
        ("ES256", ED_JWK),
        ("EdDSA", RSA_JWK),
        ("EdDSA", EC_JWK),
    ],
)
def test_a_key_of_another_algorithm_is_none(algorithm: Algorithm, jwk: dict[str, Any]) -> None:
    """The operator has said by which one the provider signs."""
    assert signing_keys({"keys": [jwk]}, algorithm) == {}


def test_a_private_key_that_was_published_is_its_public_part() -> None:
    """Nothing is computed from other members, whose size nobody bounds."""
    jwk = {**RSA_JWK, "d": "AQAB", "p": "A" * 100_000, "x5u": "https://keys.example/x5u", "key_ops": ["verify"]}

    [key] = signing_keys({"keys": [jwk]}, "RS256").values()

    assert isinstance(key.key, rsa.RSAPublicKey)


ODD: dict[str, Any] = {
    "text": "key",
    "null": None,
    "a list": [RSA_JWK],
    "empty": {},
    "no kid": {name: value for name, value in RSA_JWK.items() if name != "kid"},
    "an empty kid": {**RSA_JWK, "kid": ""},
    "kid as a number": {**RSA_JWK, "kid": 1},
    "a huge kid": {**RSA_JWK, "kid": "1" * 256},
    "symmetric": {"kid": "1", "kty": "oct", "k": "A" * 43},
    "for encryption": {**RSA_JWK, "use": "enc"},
    "for another algorithm": {**RSA_JWK, "alg": "RS512"},
    "no modulus": {**RSA_JWK, "n": ""},
    "a modulus of 1,024 bits": {**RSA_JWK, "n": RSA_JWK["n"][:171]},
    "a modulus of 16,384 bits": {**RSA_JWK, "n": _number(2**16_383 + 1)},
    "a modulus of a megabit": {**RSA_JWK, "n": "A" * 175_000},
    "a modulus with a space": {**RSA_JWK, "n": " " + RSA_JWK["n"][1:]},
    "an exponent of 1": {**RSA_JWK, "e": _number(1)},
    "an even exponent": {**RSA_JWK, "e": _number(65_536)},
    "an exponent of 64 bits": {**RSA_JWK, "e": _number(2**63 + 1)},
    "an exponent as a number": {**RSA_JWK, "e": 65_537},
}
ODD_CURVES: dict[str, Any] = {
    "P-384": {**EC_JWK, "crv": "P-384"},
    "secp256k1": {**EC_JWK, "crv": "secp256k1"},
    "no curve": {name: value for name, value in EC_JWK.items() if name != "crv"},
    "not on the curve": {**EC_JWK, "y": EC_JWK["x"]},
    "at nowhere": {**EC_JWK, "x": "A" * 43, "y": "A" * 43},
    "a short coordinate": {**EC_JWK, "x": "AAAA"},
}


@pytest.mark.parametrize("jwk", ODD.values(), ids=ODD.keys())
def test_an_odd_key_is_passed_over(jwk: Any) -> None:
    """The sound one beside it is used."""
    assert list(signing_keys({"keys": [jwk, {**RSA_JWK, "kid": "sound"}]}, "RS256")) == ["sound"]


@pytest.mark.parametrize("jwk", ODD_CURVES.values(), ids=ODD_CURVES.keys())
def test_a_point_that_is_none_is_passed_over(jwk: Any) -> None:
    """As with moduli."""
    assert list(signing_keys({"keys": [jwk, {**EC_JWK, "kid": "sound"}]}, "ES256")) == ["sound"]


@pytest.mark.parametrize("document", [{}, {"keys": None}, {"keys": {}}, {"keys": "1"}, {"keys": []}], ids=str)
def test_a_document_without_keys_has_none(document: dict[str, Any]) -> None:
    """No error: the token that names a key is refused then."""
    assert signing_keys(document, "RS256") == {}


def test_the_first_hundred_keys_are_looked_at() -> None:
    """Making keys of numbers costs time, and nobody has as many."""
    document = {"keys": [{**RSA_JWK, "kid": str(number)} for number in range(1_000)]}

    assert len(signing_keys(document, "RS256")) == 100
