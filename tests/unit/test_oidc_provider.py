"""An operator's list of OpenID providers is read whole, or the process does not start."""

import json
from typing import Any
from uuid import UUID

import pytest

from rustok.kernel.errors import Misconfigured
from rustok.modules.access.oidc_provider import parse_providers

TENANT = UUID("019a7c00-0000-7000-8000-00000000000a")
EXAMPLE: dict[str, Any] = {
    "name": "example",
    "issuer": "https://login.example.com/realm",
    "redirect_uri": "https://shop.example.com/login",
    "client_id": "rustok",
    "client_secret": "s3cret-s3cret",
}


def test_a_provider_is_what_the_operator_writes() -> None:
    """RS256 and every tenant where nothing else is said."""
    [provider] = parse_providers(json.dumps([EXAMPLE]))

    assert (provider.name, provider.issuer, provider.algorithm) == ("example", EXAMPLE["issuer"], "RS256")
    assert provider.client_secret.get_secret_value() == "s3cret-s3cret"
    assert provider.admits(TENANT)


def test_a_provider_of_some_tenants_admits_no_others() -> None:
    """Whom it says an email is of is signed in, so a tenant's own provider is for that tenant."""
    [provider] = parse_providers(json.dumps([{**EXAMPLE, "tenants": [str(TENANT)]}]))

    assert provider.admits(TENANT)
    assert not provider.admits(UUID(int=0))


@pytest.mark.parametrize("text", ["", "[]"])
def test_without_a_list_there_are_no_providers(text: str) -> None:
    """The setting may be empty."""
    assert parse_providers(text) == ()


@pytest.mark.parametrize(
    "changed",
    [
        {"name": "Example"},
        {"name": ""},
        {"issuer": "http://login.example.com"},
        {"issuer": "http://127.0.0.1.evil.example/"},
        {"issuer": "https://login.example.com/#fragment"},
        {"issuer": "https://"},
        {"client_id": ""},
        {"algorithm": "none"},
        {"algorithm": "HS256"},
        {"tenants": []},
        {"tenants": ["acme"]},
        {"secret": "s3cret-s3cret"},
    ],
    ids=str,
)
def test_a_provider_that_does_not_fit_stops_the_process(changed: dict[str, Any]) -> None:
    """The fault names the place and nobody's secret."""
    with pytest.raises(Misconfigured, match=f"RUSTOK_OIDC_PROVIDERS: 0.{next(iter(changed))}") as refused:
        parse_providers(json.dumps([{**EXAMPLE, **changed}]))
    assert "s3cret-s3cret" not in str(refused.value)


@pytest.mark.parametrize("text", ["{", "{}", "example", "[1]"])
def test_what_is_no_list_of_providers_stops_the_process(text: str) -> None:
    """JSON, a list, objects. Where all of it is wrong there is no place to be named."""
    with pytest.raises(Misconfigured, match=r"^RUSTOK_OIDC_PROVIDERS: [0I]"):
        parse_providers(text)


def test_two_providers_of_one_name_stop_the_process() -> None:
    """The name is in URLs and in what browsers remember."""
    with pytest.raises(Misconfigured, match="one name"):
        parse_providers(json.dumps([EXAMPLE, EXAMPLE]))


def test_a_provider_within_the_machine_needs_no_tls() -> None:
    """For development: as an address, which leads nowhere else."""
    providers = [
        {**EXAMPLE, "issuer": "http://127.0.0.1:8080/realm"},
        {**EXAMPLE, "issuer": "http://[::1]:8080", "name": "six"},
    ]

    assert len(parse_providers(json.dumps(providers))) == 2
