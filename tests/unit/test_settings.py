"""The environment is read once; what does not fit stops the process and names the fix."""

import os

import pytest
from pydantic import SecretStr

from rustok.kernel.errors import Misconfigured
from rustok.settings import load_settings, required


@pytest.fixture(autouse=True)
def bare_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    """No variable of the machine reaches these tests."""
    for name in list(os.environ):
        if name.startswith("RUSTOK_"):
            monkeypatch.delenv(name)


def test_the_events_travel_through_the_outbox_unless_told_otherwise() -> None:
    """The default loses nothing."""
    assert load_settings().event_transport == "outbox"


def test_an_unknown_transport_stops_the_process_with_the_names_of_the_valid_ones(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """There is no silent fallback between levels."""
    monkeypatch.setenv("RUSTOK_EVENT_TRANSPORT", "carrier_pigeon")

    with pytest.raises(Misconfigured) as refused:
        load_settings()

    message = str(refused.value)
    assert [word for word in ("RUSTOK_EVENT_TRANSPORT", "'memory'", "'outbox'") if word not in message] == []


def test_every_wrong_setting_is_named_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """An operator mends the environment in one go."""
    monkeypatch.setenv("RUSTOK_DATABASE_POOL_SIZE", "0")
    monkeypatch.setenv("RUSTOK_API_PORT", "many")

    with pytest.raises(Misconfigured) as refused:
        load_settings()

    message = str(refused.value)
    assert "RUSTOK_DATABASE_POOL_SIZE" in message
    assert "RUSTOK_API_PORT" in message


def test_a_quota_that_is_none_stops_the_process_with_the_forms_that_there_are(monkeypatch: pytest.MonkeyPatch) -> None:
    """It would be noticed at the first request else."""
    monkeypatch.setenv("RUSTOK_REQUEST_QUOTA", "1000")

    with pytest.raises(Misconfigured, match=r"RUSTOK_REQUEST_QUOTA: .*does not read NUMBER/s, NUMBER/min or NUMBER/h"):
        load_settings()


def test_a_base_domain_is_one(monkeypatch: pytest.MonkeyPatch) -> None:
    """It is compared with hosts, and has their form."""
    monkeypatch.setenv("RUSTOK_TENANT_BASE_DOMAIN", "Läden.example")
    assert load_settings().tenant_base_domain == "xn--lden-loa.example"

    monkeypatch.setenv("RUSTOK_TENANT_BASE_DOMAIN", "https://shops.example/")
    with pytest.raises(Misconfigured, match=r"RUSTOK_TENANT_BASE_DOMAIN: .* is no name of a domain"):
        load_settings()


def test_a_refused_setting_does_not_tell_its_value(monkeypatch: pytest.MonkeyPatch) -> None:
    """What was meant for another variable may be a secret."""
    monkeypatch.setenv("RUSTOK_API_PORT", "hunter2-is-my-password")

    with pytest.raises(Misconfigured) as refused:
        load_settings()

    assert "hunter2" not in str(refused.value)


def test_settings_do_not_change(monkeypatch: pytest.MonkeyPatch) -> None:
    """What a root has read holds until the process ends."""
    settings = load_settings()

    with pytest.raises(ValueError, match="frozen"):
        settings.api_port = 1  # type: ignore[misc]

    monkeypatch.setenv("RUSTOK_API_PORT", "1")
    assert settings.api_port == 8000


def test_a_secret_does_not_show_when_the_settings_are_printed(monkeypatch: pytest.MonkeyPatch) -> None:
    """Settings end up in logs and tracebacks."""
    monkeypatch.setenv("RUSTOK_DATABASE_URL", "postgresql://rustok_app:hunter2@db/rustok")

    assert "hunter2" not in repr(load_settings())


def test_a_missing_setting_is_named_with_the_fix() -> None:
    """A process that cannot do without it says which variable to set."""
    with pytest.raises(Misconfigured, match="Set RUSTOK_DATABASE_URL"):
        required(None, "database_url")


def test_a_present_setting_is_handed_out_as_text() -> None:
    """Roots hand out the value, never the object."""
    assert required(SecretStr("redis://localhost"), "redis_url") == "redis://localhost"
