"""The bad network does to a connection what it was asked to do, and otherwise nothing."""

import asyncio
from collections.abc import AsyncIterator
from dataclasses import dataclass, field

import pytest

from tests.chaos.proxy import HOST, Chunk, Fate, FaultProxy, every


class Echo:
    """A server that answers each line with itself, and remembers it."""

    def __init__(self) -> None:
        self.heard: list[bytes] = []

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while line := await reader.readline():
            self.heard.append(line)
            writer.write(line)
            await writer.drain()
        writer.close()


@dataclass(frozen=True, slots=True)
class Network:
    echo: Echo
    proxy: FaultProxy
    clients: list[asyncio.StreamWriter] = field(default_factory=list)

    async def connect(self) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        reader, writer = await asyncio.open_connection(HOST, self.proxy.port)
        self.clients.append(writer)
        return reader, writer


@pytest.fixture
async def network() -> AsyncIterator[Network]:
    """An echo behind the proxy."""
    echo = Echo()
    server = await asyncio.start_server(echo.serve, HOST, 0)
    async with FaultProxy(server.sockets[0].getsockname()[1]) as proxy:
        network = Network(echo, proxy)
        yield network
        for client in network.clients:
            client.transport.abort()
    server.close()


async def ask(connection: tuple[asyncio.StreamReader, asyncio.StreamWriter], line: bytes) -> bytes:
    """Send a line and return what comes back; nothing when the connection ends."""
    reader, writer = connection
    writer.write(line)
    return await reader.readline()


async def test_without_rules_everything_passes(network: Network) -> None:
    """A proxy that is left alone is a network."""
    connection = await network.connect()

    answers = [await ask(connection, line) for line in (b"one\n", b"two\n")]

    assert answers == network.echo.heard == [b"one\n", b"two\n"]
    assert network.proxy.faults == 0


async def test_every_nth_reply_is_cut_after_its_request_was_served(network: Network) -> None:
    """The server has done what was asked; the client sees the connection end. Replies of all connections count."""
    network.proxy.replies = every(2, Fate.CUT)

    answers = [await ask(await network.connect(), line) for line in (b"one\n", b"two\n", b"three\n")]

    assert answers == [b"one\n", b"", b"three\n"]
    assert network.echo.heard == [b"one\n", b"two\n", b"three\n"]
    assert network.proxy.faults == 1


async def test_a_request_is_cut_before_it_is_served(network: Network) -> None:
    """A rule sees what is said, and the server never hears it."""
    network.proxy.requests = lambda chunk: Fate.CUT if chunk.said == b"secret\n" else Fate.PASS
    connection = await network.connect()

    answers = [await ask(connection, b"open\n"), await ask(connection, b"secret\n")]

    assert answers == [b"open\n", b""]
    assert network.echo.heard == [b"open\n"]


async def test_a_reply_is_judged_by_its_request(network: Network) -> None:
    """As in: cut the answer to COMMIT."""
    network.proxy.replies = lambda chunk: Fate.CUT if b"COMMIT" in chunk.asked else Fate.PASS
    connection = await network.connect()

    answers = [await ask(connection, b"BEGIN\n"), await ask(connection, b"COMMIT\n")]

    assert answers == [b"BEGIN\n", b""]
    assert network.echo.heard == [b"BEGIN\n", b"COMMIT\n"]


async def test_an_eaten_reply_leaves_the_connection_open(network: Network) -> None:
    """The first answer never comes; the next one does."""
    is_eaten = asyncio.Event()

    def eat_the_first(chunk: Chunk) -> Fate:
        is_eaten.set()
        return Fate.EAT if chunk.number == 1 else Fate.PASS

    network.proxy.replies = eat_the_first
    reader, writer = connection = await network.connect()
    writer.write(b"one\n")
    await is_eaten.wait()  # else both lines could be one chunk

    assert await ask(connection, b"two\n") == b"two\n"
    assert network.echo.heard == [b"one\n", b"two\n"]
    assert reader.at_eof() is False


async def test_a_reset_is_no_end(network: Network) -> None:
    """The client gets an error and not the end of a stream."""
    network.proxy.replies = every(1, Fate.RESET)
    connection = await network.connect()

    with pytest.raises(ConnectionResetError):
        await ask(connection, b"one\n")


async def test_all_connections_are_cut_and_new_ones_are_served(network: Network) -> None:
    """A network that was away for a moment."""
    connection = await network.connect()
    await ask(connection, b"one\n")

    await network.proxy.cut_all()

    assert await ask(connection, b"two\n") == b""
    assert await ask(await network.connect(), b"three\n") == b"three\n"


async def test_a_delayed_reply_arrives(network: Network) -> None:
    """A slow network loses nothing."""
    network.proxy.delay_s = 0.001

    assert await ask(await network.connect(), b"one\n") == b"one\n"


def test_fates_take_turns() -> None:
    """Every other one has a fault, each time the next one."""
    rule = every(2, Fate.CUT, Fate.EAT)

    fates = [rule(Chunk(number, b"")) for number in range(1, 7)]

    assert fates == [Fate.PASS, Fate.EAT, Fate.PASS, Fate.CUT, Fate.PASS, Fate.EAT]
