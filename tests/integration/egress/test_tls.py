"""A call over TLS reaches the host that it names, or nobody."""

import ssl
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from ipaddress import ip_address
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

from rustok.egress import EgressFailed
from tests.integration.egress.support import HOST, OK, after, call, egress, serving

DAY = timedelta(days=1)


Trust = Callable[[Path], None]


@pytest.fixture
def trust(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Trust:
    """Make this machine trust one certificate and no other."""

    def only(file: Path) -> None:
        monkeypatch.setenv("SSL_CERT_FILE", str(file))
        monkeypatch.setenv("SSL_CERT_DIR", str(tmp_path / "none"))

    return only


def certificate(directory: Path, name: str, *, expires: datetime | None = None) -> Path:
    """Write a self-signed certificate for *name*, a host or an address, with its key; return the file."""
    key = ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "a test")])
    host = x509.IPAddress(ip_address(name)) if name[0].isdigit() else x509.DNSName(name)
    expires = expires or datetime.now(UTC) + DAY
    made = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(subject)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(expires - 2 * DAY)
        .not_valid_after(expires)
        .add_extension(x509.SubjectAlternativeName([host]), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .sign(key, hashes.SHA256())
    )
    file = directory / f"{name}.pem"
    file.write_bytes(
        key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
        + made.public_bytes(serialization.Encoding.PEM)
    )
    return file


def server_side(file: Path) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(file)
    return context


@pytest.mark.parametrize("host", [HOST, "127.0.0.1"])
async def test_a_trusted_certificate_for_the_host_is_good(trust: Trust, tmp_path: Path, host: str) -> None:
    """The name is checked though the connection was made to an address."""
    file = certificate(tmp_path, host)
    trust(file)

    async with serving(tls=server_side(file)) as server:
        answer = await egress().send(call(server.port, scheme="https", host=host))

    assert (answer.status, answer.body) == (200, b"ok")


async def test_a_trusted_certificate_for_another_host_is_a_failure(trust: Trust, tmp_path: Path) -> None:
    """RFC 9110, section 4.3.4. Nothing of the request was sent."""
    file = certificate(tmp_path, "other.example.com")
    trust(file)

    async with serving(tls=server_side(file)) as server:
        with pytest.raises(EgressFailed, match="Hostname mismatch"):
            await egress().send(call(server.port, scheme="https"))

    assert server.received == []


async def test_a_certificate_that_nobody_vouches_for_is_a_failure(trust: Trust, tmp_path: Path) -> None:
    """The right name alone proves nothing."""
    trust(certificate(tmp_path, "other.example.com"))
    file = certificate(tmp_path, HOST)

    async with serving(tls=server_side(file)) as server:
        with pytest.raises(EgressFailed, match="self-signed certificate"):
            await egress().send(call(server.port, scheme="https"))

    assert server.received == []


async def test_a_certificate_that_has_expired_is_a_failure(trust: Trust, tmp_path: Path) -> None:
    """Trust ends on a day."""
    file = certificate(tmp_path, HOST, expires=datetime.now(UTC) - DAY)
    trust(file)

    async with serving(tls=server_side(file)) as server:
        with pytest.raises(EgressFailed, match="expired"):
            await egress().send(call(server.port, scheme="https"))

    assert server.received == []


async def test_a_server_without_tls_is_a_failure(trust: Trust, tmp_path: Path) -> None:
    """Https never falls back to plain text."""
    trust(certificate(tmp_path, HOST))

    async with serving(after(OK)) as server:
        with pytest.raises(EgressFailed, match="WRONG_VERSION_NUMBER"):
            await egress().send(call(server.port, scheme="https"))
