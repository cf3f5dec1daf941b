"""A TCP proxy that is a bad network: it delays, cuts, resets, and eats replies.

A *reply* is the first that a server says after its client has spoken. Both PostgreSQL and Redis answer in turns, so
that is where an answer begins, whatever its length.
"""

import asyncio
import socket
import struct
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from enum import Enum
from typing import Self

HOST = "127.0.0.1"
_CHUNK = 65_536


class Fate(Enum):
    """What becomes of a request or of a reply."""

    PASS = "passed"
    EAT = "eaten"
    """It never arrives, and the connection stays open."""
    CUT = "cut"
    """It never arrives, and both sides see the connection end."""
    RESET = "reset"
    """It never arrives, and the client's connection is reset."""


@dataclass(frozen=True, slots=True)
class Chunk:
    """`number` counts the requests, or the replies, of all connections from 1; `said` is what was read at once.

    `asked` is the request that a reply answers.
    """

    number: int
    said: bytes
    asked: bytes = b""


Rule = Callable[[Chunk], Fate]


def always_pass(_chunk: Chunk) -> Fate:
    return Fate.PASS


def every(nth: int, *fates: Fate) -> Rule:
    """Return the rule by which every *nth* meets one of these *fates*, in turn."""
    return lambda chunk: Fate.PASS if chunk.number % nth else fates[chunk.number // nth % len(fates)]


@dataclass
class FaultProxy:
    """Use as an async context manager. Rules and `delay_s` (before each reply) may be changed at any time."""

    target_port: int
    requests: Rule = always_pass
    replies: Rule = always_pass
    delay_s: float = 0.0
    faults: int = 0
    """How many requests and replies did not pass."""
    port: int = 0
    _asked: int = 0
    _answered: int = 0
    _connections: set[asyncio.Task[None]] = field(default_factory=set)

    async def __aenter__(self) -> Self:
        self._server = await asyncio.start_server(self._serve, HOST, 0)
        self.port = self._server.sockets[0].getsockname()[1]
        return self

    async def __aexit__(self, *_error: object) -> None:
        self._server.close()
        await self.cut_all()

    async def cut_all(self) -> None:
        """End every connection."""
        for task in self._connections:
            task.cancel()
        await asyncio.gather(*self._connections, return_exceptions=True)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._connections.add(task)
        try:
            await _Conversation(self, reader, writer).run()
        except (OSError, asyncio.CancelledError):
            pass  # one side is gone: so is the conversation
        finally:
            self._connections.discard(task)
            writer.transport.abort()

    def judge_request(self, said: bytes) -> Fate:
        """Return what becomes of a request."""
        self._asked += 1
        return self._counted(self.requests(Chunk(self._asked, said)))

    def judge_reply(self, said: bytes, asked: bytes) -> Fate:
        """Return what becomes of a reply."""
        self._answered += 1
        return self._counted(self.replies(Chunk(self._answered, said, asked)))

    def _counted(self, fate: Fate) -> Fate:
        self.faults += fate is not Fate.PASS
        return fate


class _Conversation:
    """One connection of a client, and the one to the server that stands behind it."""

    def __init__(self, proxy: FaultProxy, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._proxy = proxy
        self._client = (reader, writer)
        self._asked = b""

    async def run(self) -> None:
        """Carry bytes until one side ends, or a fault ends it."""
        server = await asyncio.open_connection(HOST, self._proxy.target_port)
        ways = [
            asyncio.create_task(self._carry(self._client[0], server[1], self._request)),
            asyncio.create_task(self._carry(server[0], self._client[1], self._reply)),
        ]
        try:
            await asyncio.wait(ways, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for way in ways:
                way.cancel()
            await asyncio.gather(*ways, return_exceptions=True)
            server[1].transport.abort()

    async def _carry(
        self, source: asyncio.StreamReader, sink: asyncio.StreamWriter, judge: Callable[[bytes], Fate]
    ) -> None:
        while said := await source.read(_CHUNK):
            fate = judge(said)
            if fate is Fate.EAT:
                continue
            if fate is not Fate.PASS:
                if fate is Fate.RESET:
                    self._reset()
                return
            if judge == self._reply and self._proxy.delay_s:
                await asyncio.sleep(self._proxy.delay_s)
            sink.write(said)
            await sink.drain()

    def _request(self, said: bytes) -> Fate:
        self._asked += said
        return self._proxy.judge_request(said)

    def _reply(self, said: bytes) -> Fate:
        if not self._asked:
            return Fate.PASS  # the rest of a reply
        asked, self._asked = self._asked, b""
        return self._proxy.judge_reply(said, asked)

    def _reset(self) -> None:
        with suppress(OSError):
            linger = struct.pack("ii", 1, 0)  # closing with data unsent and no time to wait sends RST
            self._client[1].get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, linger)
        self._client[1].transport.abort()
