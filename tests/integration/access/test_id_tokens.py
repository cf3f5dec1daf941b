"""An ID token signs somebody in when the provider has signed it for us, for this login, just now."""

import base64
import json
from collections.abc import Callable
from typing import Any

import jwt
import pytest
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from cryptography.hazmat.primitives.asymmetric.padding import PKCS1v15
from cryptography.hazmat.primitives.hashes import SHA256

from rustok.modules.access.errors import OidcLoginRefused
from rustok.modules.access.oidc import OidcLogin
from rustok.modules.access.oidc_provider import Algorithm
from rustok.testing import FixedClock
from tests.integration.access.forged_id_tokens import FORGED, by_hand, by_key
from tests.integration.access.openid import (
    CLIENT_ID,
    NOW_S,
    RSA_KEY,
    SECRETS,
    FakeProvider,
    configured,
    public_jwk,
    signed_in,
)
from tests.integration.egress.support import egress


@pytest.mark.parametrize(
    ("algorithm", "key"),
    [("ES256", ec.generate_private_key(ec.SECP256R1())), ("EdDSA", ed25519.Ed25519PrivateKey.generate())],
    ids=["ES256", "EdDSA"],
)
async def test_a_provider_may_sign_by_another_algorithm_that_was_agreed(
    provider: FakeProvider, clock: FixedClock, algorithm: Algorithm, key: Any
) -> None:
    """By that one only: its RSA key has no use any more."""
    login = OidcLogin(configured(provider, algorithm=algorithm), egress(), SECRETS, clock)
    published = jwt.get_algorithm_by_name(algorithm).to_jwk(key.public_key(), as_dict=True)
    provider.keys = [public_jwk(RSA_KEY, "1"), {**published, "kid": "2"}]
    provider.sign = by_key(key, algorithm, kid="2")

    assert (await signed_in(login, provider)).subject == "248289761001"

    provider.sign = by_key(RSA_KEY)
    with pytest.raises(OidcLoginRefused):
        await signed_in(login, provider)


async def test_a_key_that_is_small_behind_its_zeros_signs_nobody_in(login: OidcLogin, provider: FakeProvider) -> None:
    """A modulus of 1,024 bits, written as one of 2,048."""
    small = rsa.generate_private_key(65537, 1024)  # noqa: S505
    modulus = small.public_key().public_numbers().n.to_bytes(256)
    provider.keys = [{**public_jwk(small, "1"), "n": base64.urlsafe_b64encode(modulus).decode().rstrip("=")}]
    provider.sign = by_hand({"alg": "RS256"}, lambda signed: small.sign(signed, PKCS1v15(), SHA256()))

    with pytest.raises(OidcLoginRefused, match="not signed as it should be"):
        await signed_in(login, provider)


@pytest.mark.parametrize(
    ("claims", "reason"),
    [
        ({"iss": "https://evil.example"}, "another issuer"),
        ({"iss": None}, "lacks a claim"),
        ({"aud": "another"}, "somebody else"),
        ({"aud": []}, "somebody else"),
        ({"aud": None}, "lacks a claim"),
        ({"aud": [CLIENT_ID, "another"]}, "somebody else"),
        ({"aud": [CLIENT_ID, "another"], "azp": "another"}, "somebody else"),
        ({"aud": [CLIENT_ID, 1]}, "lacks a claim"),
        ({"azp": "another"}, "somebody else"),
        ({"nonce": "of another login"}, "another login"),
        ({"nonce": None}, "lacks a claim"),
        ({"exp": NOW_S - 60}, "expired"),
        ({"exp": None}, "lacks a claim"),
        ({"exp": str(NOW_S + 300)}, "lacks a claim"),
        ({"exp": 1e300}, "lacks a claim"),
        ({"iat": NOW_S - 660}, "not of now"),
        ({"iat": NOW_S + 60}, "not of now"),
        ({"iat": None}, "lacks a claim"),
        ({"sub": None}, "lacks a claim"),
        ({"sub": ""}, "lacks a claim"),
        ({"sub": "s" * 256}, "lacks a claim"),
        ({"sub": 248289761001}, "lacks a claim"),
        ({"email": None}, "verified the email"),
        ({"email": "no address"}, "lacks a claim"),
        ({"email_verified": None}, "verified the email"),
        ({"email_verified": False}, "verified the email"),
        ({"email_verified": "true"}, "lacks a claim"),
        ({"email_verified": 1}, "lacks a claim"),
    ],
    ids=str,
)
async def test_a_token_that_says_something_else_signs_nobody_in(
    login: OidcLogin, provider: FakeProvider, claims: dict[str, Any], reason: str
) -> None:
    """The rules of OpenID Connect Core, section 3.1.3.7, one by one; the signature is right."""
    provider.claims = claims

    with pytest.raises(OidcLoginRefused, match=reason):
        await signed_in(login, provider)


async def test_a_token_for_several_is_for_us_when_it_says_so(login: OidcLogin, provider: FakeProvider) -> None:
    """`azp` names who it was issued to."""
    provider.claims = {"aud": ["another", CLIENT_ID], "azp": CLIENT_ID}

    assert (await signed_in(login, provider)).subject == "248289761001"


@pytest.mark.parametrize("name", ["", "a" * 300, ["Anna"]], ids=["none", "long", "a list"])
async def test_nobody_is_refused_for_what_is_not_needed(login: OidcLogin, provider: FakeProvider, name: Any) -> None:
    """What is not read may be of any form."""
    provider.claims = {"name": name}

    assert (await signed_in(login, provider)).subject == "248289761001"


@pytest.mark.parametrize("sign", FORGED.values(), ids=FORGED.keys())
async def test_a_token_that_is_not_signed_as_agreed_signs_nobody_in(
    login: OidcLogin, provider: FakeProvider, sign: Callable[[dict[str, Any]], str]
) -> None:
    """RS256 by a key that the provider publishes, and by nothing that the token brings along or chooses."""
    provider.sign = sign

    with pytest.raises(OidcLoginRefused):
        await signed_in(login, provider)


async def test_a_claim_twice_signs_nobody_in(login: OidcLogin, provider: FakeProvider) -> None:
    """Two readers could read two things."""

    def sign(claims: dict[str, Any]) -> str:
        payload = json.dumps(claims)[:-1] + ', "email": "boss@example.com"}'
        return jwt.PyJWS().encode(payload.encode(), RSA_KEY, "RS256", {"kid": "1"})

    provider.sign = sign

    with pytest.raises(OidcLoginRefused, match="lacks a claim"):
        await signed_in(login, provider)
