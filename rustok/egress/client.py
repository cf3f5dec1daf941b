"""Sends one request to an address that was checked, on a connection that nobody else has used or will use."""

import asyncio
import os
import socket
import ssl
import time
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from ipaddress import ip_address

from rustok.egress.addresses import IPAddress, IPNetwork, may_connect
from rustok.egress.allow_list import Origin, literal
from rustok.egress.errors import AddressNotAllowed, EgressFailed
from rustok.egress.exchange import Answer, exchange
from rustok.egress.request import OutgoingRequest, WireRequest, checked
from rustok.egress.resolver import Resolver, SystemResolver

KEPT_HEADERS = frozenset({"content-type", "etag", "last-modified", "location", "retry-after"})

_ATTEMPTS = 3
"""Addresses of one host that are tried; each has its share of the time."""


@dataclass(frozen=True, slots=True, kw_only=True)
class EgressConfig:
    """*allowed_networks*: what calls may reach besides the public Internet; see `parse_networks`.

    *time_limit_s*: seconds for a whole call, from the name to the last byte.
    """

    allowed_networks: Sequence[IPNetwork] = ()
    time_limit_s: float = 5.0


@dataclass(frozen=True, slots=True, kw_only=True)
class OutgoingAnswer:
    """What the server said, be it a redirect or an error. *headers*: those of KEPT_HEADERS, in lower case.

    *body* is as it was sent, never decompressed; *is_truncated*: it is the first MiB of a longer one.
    """

    status: int
    headers: Mapping[str, str]
    body: bytes
    is_truncated: bool
    elapsed_ms: int


class Egress:
    """The way out. TLS trusts what the machine trusts (SSL_CERT_FILE); proxies of the environment are not used."""

    def __init__(self, config: EgressConfig, resolver: Resolver | None = None) -> None:
        self._config = config
        self._resolver = resolver or SystemResolver()
        self._tls = ssl.create_default_context()

    async def send(self, request: OutgoingRequest) -> OutgoingAnswer:
        """Send *request* once. Redirects are not followed; nothing is tried again after a byte was sent.

        Raises:
            EgressRefused: it breaks a rule, or its host is where no call may go.
            EgressFailed: there was no usable answer in time.
            Unavailable: too many names are being looked up; nothing was sent.

        """
        wire = checked(request)
        started_s = time.monotonic()
        answer = await self._answer(wire)
        return _outgoing(answer, elapsed_ms=round((time.monotonic() - started_s) * 1000))

    async def _answer(self, wire: WireRequest) -> Answer:
        host, limit_s = wire.origin.host, self._config.time_limit_s
        try:
            async with asyncio.timeout(limit_s):
                addresses = await self._addresses(wire.origin)
                async with self._connected(wire.origin, addresses) as streams:
                    return await exchange(wire, *streams)
        except TimeoutError:
            raise EgressFailed(f"{host} did not answer within {limit_s:g} s.") from None
        except OSError as error:  # of name resolution, the connection, or TLS
            raise EgressFailed(f"The call to {host} failed: {_reason(error)}.") from None

    async def _addresses(self, origin: Origin) -> Sequence[IPAddress]:
        """Return where *origin* is: resolved once, so that what is checked is what is connected to."""
        address = literal(origin.host)
        addresses = [address] if address else await self._resolver.resolve(origin.host)
        if not addresses:
            raise EgressFailed(f"{origin.host} has no address.")
        if not all(may_connect(address, self._config.allowed_networks) for address in addresses):
            raise AddressNotAllowed(f"{origin.host} is not on the public Internet, or not with all of its addresses.")
        return addresses

    @asynccontextmanager
    async def _connected(
        self, origin: Origin, addresses: Sequence[IPAddress]
    ) -> AsyncIterator[tuple[asyncio.StreamReader, asyncio.StreamWriter]]:
        reader, writer = await self._connect(origin, addresses[:_ATTEMPTS])
        try:
            check_peer(writer.get_extra_info("peername"), addresses)
            yield reader, writer
        finally:
            writer.transport.abort()

    async def _connect(
        self, origin: Origin, addresses: Sequence[IPAddress]
    ) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        """Connect to the first of *addresses* that takes the connection."""
        *others, last = addresses
        for address in others:
            try:
                async with asyncio.timeout(self._config.time_limit_s / len(addresses)):
                    return await self._open(origin, address)
            except OSError:
                continue
        return await self._open(origin, last)

    async def _open(self, origin: Origin, address: IPAddress) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        is_tls = origin.scheme == "https"
        return await asyncio.open_connection(
            str(address),  # a literal: nothing is resolved again
            origin.port,
            ssl=self._tls if is_tls else None,
            server_hostname=origin.host.strip("[]") if is_tls else None,
        )


def check_peer(peer: Sequence[object] | None, addresses: Sequence[IPAddress]) -> None:
    """Check that a connected socket leads to one of the *addresses* that were checked, whatever connected it.

    Raises:
        AddressNotAllowed: it leads elsewhere.
        EgressFailed: it is not connected any more.

    """
    if peer is None:
        raise EgressFailed("The server closed the connection at once.")
    if ip_address(str(peer[0])) not in addresses:
        raise AddressNotAllowed("The connection leads to another address than those that were checked.")


def _reason(error: OSError) -> str:
    """Return what happened. The text of asyncio's own errors would tell the address."""
    match error:
        case ssl.SSLCertVerificationError():
            return error.verify_message.rstrip(".")
        case ssl.SSLError():
            return str(error.reason)
        case socket.gaierror():
            return str(error.strerror)
        case _:
            return os.strerror(error.errno) if error.errno else type(error).__name__


def _outgoing(answer: Answer, elapsed_ms: int) -> OutgoingAnswer:
    headers = ((name.decode("ascii"), value.decode("latin-1")) for name, value in answer.head.headers)
    return OutgoingAnswer(
        status=answer.head.status_code,
        headers={name: value for name, value in headers if name in KEPT_HEADERS},
        body=answer.body,
        is_truncated=answer.is_truncated,
        elapsed_ms=elapsed_ms,
    )
