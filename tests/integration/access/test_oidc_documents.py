"""A provider's documents are fetched from nowhere else, kept for a while, and not waited for."""

from typing import Any

import pytest

from rustok.modules.access.errors import OidcLoginRefused, OidcProviderUnavailable
from rustok.modules.access.oidc import OidcLogin
from rustok.testing import FixedClock
from tests.integration.access.forged_id_tokens import OTHER_KEY, by_key
from tests.integration.access.openid import (
    KEYS,
    METADATA,
    NOW_S,
    SECRETS,
    TENANT,
    TOKEN,
    FakeProvider,
    answer,
    configured,
    public_jwk,
    signed_in,
)
from tests.integration.egress.support import after, egress, until_gone

BEGINNING = after(b"HTTP/1.1 200 .\r\nContent-Length: 9\r\n\r\n{")


async def test_documents_are_fetched_once(login: OidcLogin, provider: FakeProvider) -> None:
    """Two logins are two codes, and no more metadata or keys than one."""
    await signed_in(login, provider)
    await signed_in(login, provider)

    assert sorted(provider.asked) == [METADATA, KEYS, TOKEN, TOKEN]


async def test_documents_are_fetched_again_after_an_hour(
    login: OidcLogin, provider: FakeProvider, clock: FixedClock
) -> None:
    """Keys that a provider has withdrawn are not believed for ever."""
    await login.begin(TENANT)
    clock.advance(3600)

    await login.begin(TENANT)

    assert provider.asked == [METADATA, METADATA]


async def test_a_new_key_is_fetched_when_a_token_names_it(
    login: OidcLogin, provider: FakeProvider, clock: FixedClock
) -> None:
    """A provider changes its keys when it likes."""
    await signed_in(login, provider)
    provider.keys, provider.sign = [public_jwk(OTHER_KEY, "2")], by_key(OTHER_KEY, kid="2")
    clock.advance(60)

    assert (await signed_in(login, provider)).subject == "248289761001"


async def test_unknown_keys_are_looked_for_once_a_minute_at_most(
    login: OidcLogin, provider: FakeProvider, clock: FixedClock
) -> None:
    """Whoever makes up ids of keys does not make us call the provider each time."""
    provider.sign = by_key(OTHER_KEY, kid="unknown")

    for _ in range(5):
        clock.advance(59 / 5)
        with pytest.raises(OidcLoginRefused, match="no such key"):
            await signed_in(login, provider)

    assert provider.asked.count(KEYS) == 1


@pytest.mark.parametrize(
    "metadata",
    [
        {"issuer": "https://evil.example"},
        {"issuer": None},
        {"authorization_endpoint": "http://evil.example/login"},
        {"authorization_endpoint": "javascript:alert(1)"},
        {"token_endpoint": "http://evil.example/token"},
        {"token_endpoint": "http://127.0.0.1@evil.example/token"},
        {"token_endpoint": "file:///etc/passwd"},
        {"jwks_uri": "http://169.254.169.254/keys"},
        {"jwks_uri": ["https://keys.example"]},
    ],
    ids=str,
)
async def test_metadata_of_somebody_else_or_without_tls_is_refused(
    login: OidcLogin, provider: FakeProvider, metadata: dict[str, Any]
) -> None:
    """OpenID Connect Discovery, section 4.3: the issuer is the one that was asked."""
    provider.metadata = metadata

    with pytest.raises(OidcProviderUnavailable, match="metadata"):
        await login.begin(TENANT)


async def test_keys_in_a_private_network_are_not_fetched(login: OidcLogin, provider: FakeProvider) -> None:
    """Metadata does not open what the operator has not."""
    provider.metadata = {"jwks_uri": "https://169.254.169.254/keys"}

    with pytest.raises(OidcProviderUnavailable, match="not on the public Internet"):
        await signed_in(login, provider)


@pytest.mark.parametrize("path", [METADATA, KEYS, TOKEN])
@pytest.mark.parametrize(
    "said",
    [
        answer({}, 500),
        b"HTTP/1.1 302 .\r\nLocation: http://127.0.0.1:1/\r\nContent-Length: 0\r\n\r\n",
        b"HTTP/1.1 200 .\r\nContent-Length: 9\r\n\r\nno JSON.\n",
        answer([]),
        b'HTTP/1.1 200 .\r\nContent-Length: 23\r\n\r\n{"issuer":1,"issuer":2}',
        b'HTTP/1.1 200 .\r\n\r\n{"keys": []}' + b" " * 1_100_000,
        answer({"keys": [{}] * 20_000}),
        b"not HTTP\r\n\r\n",
        b"",
    ],
    ids=["500", "redirect", "no JSON", "a list", "a name twice", "huge", "too many values", "no HTTP", "nothing"],
)
async def test_an_answer_that_is_none_is_the_providers_fault(
    login: OidcLogin, provider: FakeProvider, path: str, said: bytes
) -> None:
    """503, to be tried again: no redirect is followed, and no more than 1 MiB is read."""
    provider.answers = {path: said}

    with pytest.raises(OidcProviderUnavailable):
        await signed_in(login, provider)
    assert provider.asked[-1] == path


@pytest.mark.parametrize("path", [METADATA, KEYS, TOKEN])
@pytest.mark.parametrize("said", [until_gone, BEGINNING], ids=["nothing", "a beginning"])
async def test_a_provider_that_falls_silent_is_not_waited_for(
    provider: FakeProvider, clock: FixedClock, path: str, said: Any
) -> None:
    """The way out has a limit of time."""
    login = OidcLogin(configured(provider), egress(time_limit_s=0.2), SECRETS, clock)
    provider.answers = {path: said}

    with pytest.raises(OidcProviderUnavailable, match="did not answer within"):
        await signed_in(login, provider)


@pytest.mark.parametrize("said", [b"", answer({}, 500)], ids=["nothing", "500"])
async def test_a_provider_that_failed_is_left_alone_for_some_seconds(
    login: OidcLogin, provider: FakeProvider, clock: FixedClock, said: bytes
) -> None:
    """Who comes just after a failure does not wait for the next one."""
    provider.answers = {METADATA: said}
    with pytest.raises(OidcProviderUnavailable):
        await login.begin(TENANT)
    provider.answers = {}

    with pytest.raises(OidcProviderUnavailable, match="left alone"):
        await login.begin(TENANT)
    clock.advance(5)

    assert await login.begin(TENANT)


async def test_keys_that_cannot_be_fetched_again_are_believed_for_an_hour_at_most(
    login: OidcLogin, provider: FakeProvider, clock: FixedClock
) -> None:
    """Who keeps us from seeing that a key was withdrawn gains nothing."""
    begun = await login.begin(TENANT)
    await login.exchange(TENANT, *provider.sign_in(begun.url), begun.remembered)
    provider.answers = {KEYS: answer({}, 500)}
    clock.advance(3600)

    for _ in range(2):
        provider.claims = {"iat": NOW_S + 3600, "exp": NOW_S + 3900}
        with pytest.raises(OidcProviderUnavailable):
            await signed_in(login, provider)
