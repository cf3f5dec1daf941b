"""A login by an OpenID provider ends in the browser that began it, with whom the provider vouches for."""

from uuid import UUID

import pytest

from rustok.modules.access.errors import OidcLoginRefused
from rustok.modules.access.id_token import OidcIdentity
from rustok.modules.access.oidc import LOGIN_LIFETIME_S, OidcLogin
from rustok.testing import FixedClock
from tests.integration.access.openid import (
    CLIENT_ID,
    REDIRECT,
    SECRETS,
    TENANT,
    TOKEN,
    FakeProvider,
    configured,
    parameters,
    signed_in,
)
from tests.integration.egress.support import egress

OTHER_TENANT = UUID("019a7c00-0000-7000-8000-0000000000ff")


async def test_a_login_ends_with_whom_the_provider_vouches_for(login: OidcLogin, provider: FakeProvider) -> None:
    """The control of all that follows: an issuer and a subject, and an email as users have theirs."""
    assert await signed_in(login, provider) == OidcIdentity(provider.issuer, "248289761001", "anna@example.com")


async def test_a_login_begins_with_a_code_a_challenge_a_state_and_a_nonce(
    login: OidcLogin, provider: FakeProvider
) -> None:
    """Authorization code with PKCE S256; nothing in the URL is of use to who sees it."""
    url, remembered = await login.begin(TENANT)

    sent = parameters(url)
    assert url.startswith(f"{provider.issuer}/login?")
    assert sent["response_type"] == ["code"]
    assert sent["client_id"] == [CLIENT_ID]
    assert sent["redirect_uri"] == [REDIRECT]
    assert sent["scope"] == ["openid email"]
    assert sent["code_challenge_method"] == ["S256"]
    assert all(len(sent[name][0]) == 43 for name in ("state", "nonce", "code_challenge"))
    assert not any(sent[name][0] in remembered for name in ("state", "nonce", "code_challenge"))


async def test_no_two_logins_share_anything(login: OidcLogin) -> None:
    """State, nonce and challenge are of one login."""
    first, second = [parameters((await login.begin(TENANT)).url) for _ in range(2)]

    assert all(first[name] != second[name] for name in ("state", "nonce", "code_challenge"))


async def test_a_code_is_of_use_once(login: OidcLogin, provider: FakeProvider) -> None:
    """Who replays the redirect is told so by the provider."""
    url, remembered = await login.begin(TENANT)
    code, state = provider.sign_in(url)
    await login.exchange(TENANT, code, state, remembered)

    with pytest.raises(OidcLoginRefused, match="400"):
        await login.exchange(TENANT, code, state, remembered)


async def test_a_code_of_another_login_is_refused_by_the_challenge(login: OidcLogin, provider: FakeProvider) -> None:
    """A stolen code, put into a login of the thief's own: its verifier is another."""
    stolen, _ = provider.sign_in((await login.begin(TENANT)).url)
    url, remembered = await login.begin(TENANT)
    _, state = provider.sign_in(url)

    with pytest.raises(OidcLoginRefused, match="400"):
        await login.exchange(TENANT, stolen, state, remembered)


async def test_an_answer_is_refused_in_a_browser_that_did_not_ask_for_it(
    login: OidcLogin, provider: FakeProvider, clock: FixedClock
) -> None:
    """Of another login, another tenant, another provider, too late, or with what was made up: and the code is kept."""
    url, remembered = await login.begin(TENANT)
    code, state = provider.sign_in(url)
    _, of_another_login = await login.begin(TENANT)
    another = OidcLogin(configured(provider).model_copy(update={"name": "another"}), egress(), SECRETS, clock)

    for way, tenant, said, text in (
        (login, TENANT, state, of_another_login),
        (login, TENANT, "", remembered),
        (login, TENANT, "\u0430", remembered),
        (login, OTHER_TENANT, state, remembered),
        (another, TENANT, state, remembered),
        (login, TENANT, state, remembered[:-1]),
        (login, TENANT, state, remembered.swapcase()),
        (login, TENANT, state, "\u0430"),
        (login, TENANT, state, ""),
    ):
        with pytest.raises(OidcLoginRefused):
            await way.exchange(tenant, code, said, text)
    clock.advance(LOGIN_LIFETIME_S + 1)
    with pytest.raises(OidcLoginRefused, match="no login under way"):
        await login.exchange(TENANT, code, state, remembered)

    assert TOKEN not in provider.asked


async def test_a_provider_signs_in_for_its_tenants_only(provider: FakeProvider, clock: FixedClock) -> None:
    """An operator may let a tenant bring its own."""
    login = OidcLogin(configured(provider, tenants=frozenset({TENANT})), egress(), SECRETS, clock)

    assert await login.begin(TENANT)
    with pytest.raises(OidcLoginRefused, match="tenant"):
        await login.begin(OTHER_TENANT)
