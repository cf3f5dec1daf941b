"""Servers that say whatever a test wants, and a resolver that leads to them."""

import asyncio
import socket
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from ipaddress import ip_address

from rustok.egress import Egress, EgressConfig, IPAddress, OutgoingRequest, parse_networks

Handler = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]

HOST = "hooks.example.com"
OK = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"


@dataclass(slots=True)
class Server:
    """Listens on loopback. *received*: the request of each connection that was read."""

    port: int = 0
    connections: int = 0
    received: list[bytes] = field(default_factory=list)
    left: asyncio.Event = field(default_factory=asyncio.Event)
    """Set when a caller has gone."""


@asynccontextmanager
async def serving(answer: bytes | Handler = OK, *, tls: ssl.SSLContext | None = None) -> AsyncIterator[Server]:
    """Serve *answer* to each connection: after its request was read the bytes, else whatever the handler does."""
    server = Server()

    async def say(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        server.received.append(await read_request(reader))
        writer.write(answer if isinstance(answer, bytes) else b"")
        await writer.drain()

    async def handle(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        server.connections += 1
        with suppress(OSError, asyncio.IncompleteReadError):
            await (say if isinstance(answer, bytes) else answer)(reader, writer)
        writer.close()
        server.left.set()

    listening = await asyncio.start_server(handle, "127.0.0.1", 0, ssl=tls)
    server.port = listening.sockets[0].getsockname()[1]
    try:
        yield server
    finally:
        listening.close()
        await listening.wait_closed()


async def read_request(reader: asyncio.StreamReader) -> bytes:
    head = await reader.readuntil(b"\r\n\r\n")
    [length] = [line.partition(b": ")[2] for line in head.splitlines() if line.startswith(b"content-length: ")]
    return head + await reader.readexactly(int(length))


async def until_gone(reader: asyncio.StreamReader, _writer: asyncio.StreamWriter) -> None:
    """Say nothing until the caller has gone."""
    await reader.read()


def after(beginning: bytes) -> Handler:
    """Return a handler that says *beginning* and then nothing more."""

    async def handle(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(beginning)
        await until_gone(reader, writer)

    return handle


class Names:
    """A resolver that gives its answers one after the other, the last one for ever."""

    def __init__(self, *answers: Sequence[str]) -> None:
        self._answers = [[ip_address(text) for text in answer] for answer in answers]
        self.asked: list[str] = []

    async def resolve(self, host: str) -> Sequence[IPAddress]:
        self.asked.append(host)
        return self._answers.pop(0) if len(self._answers) > 1 else self._answers[0]


class UnknownNames:
    """A resolver whose name server knows nothing."""

    async def resolve(self, host: str) -> Sequence[IPAddress]:
        raise socket.gaierror(socket.EAI_NONAME, "Name or service not known", host)


class SilentNames:
    """A resolver whose name server never answers."""

    async def resolve(self, host: str) -> Sequence[IPAddress]:
        await asyncio.Event().wait()
        raise AssertionError(host)


def egress(*answers: Sequence[str], allowed_networks: str = "127.0.0.0/8", time_limit_s: float = 5.0) -> Egress:
    """Return a way out that may reach loopback, where every name leads unless *answers* say otherwise."""
    config = EgressConfig(allowed_networks=parse_networks(allowed_networks), time_limit_s=time_limit_s)
    return Egress(config, Names(*(answers or (["127.0.0.1"],))))


def call(
    port: int,
    path: str = "/",
    *,
    scheme: str = "http",
    host: str = HOST,
    method: str = "POST",
    body: bytes = b"{}",
) -> OutgoingRequest:
    """Return a call that its own allow-list allows."""
    entry = f"{'http://' if scheme == 'http' else ''}{host}:{port}"
    url = f"{scheme}://{host}:{port}{path}"
    return OutgoingRequest(
        method=method, url=url, headers={"Content-Type": "application/json"}, body=body, allowed_hosts=[entry]
    )
