"""One request and its answer on an open connection (HTTP/1.1, RFC 9112)."""

import asyncio
from dataclasses import dataclass

import h11

from rustok.egress.errors import EgressFailed
from rustok.egress.request import WireRequest

ANSWER_LIMIT_BYTES = 1_048_576
HEAD_LIMIT_BYTES = 32_768

_PIECE_BYTES = 8_192
_EVENT_LIMIT = 20_000
"""Pieces, chunks and interim answers that are read: a megabyte in chunks of one byte would cost seconds of CPU."""


@dataclass(frozen=True, slots=True)
class Answer:
    """*body* is as it was sent, never decompressed; *is_truncated*: there was more of it than 1 MiB."""

    head: h11.Response
    body: bytes
    is_truncated: bool


async def exchange(request: WireRequest, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> Answer:
    """Send *request* and read its answer. The connection is of no use afterwards.

    Raises:
        EgressFailed: the answer is not HTTP/1.1, or exceeds a limit that is not the body's.
        OSError: the connection broke.

    """
    connection = h11.Connection(h11.CLIENT, max_incomplete_event_size=HEAD_LIMIT_BYTES)
    # Not drained: a server may answer, and stop reading, before it has the whole body.
    writer.write(_encoded(connection, request))
    try:
        return await _read_answer(connection, reader)
    except h11.RemoteProtocolError:
        raise EgressFailed("The answer is cut short, is not HTTP/1.1, or its head is too large.") from None


def _encoded(connection: h11.Connection, request: WireRequest) -> bytes:
    head = h11.Request(method=request.method, target=request.target, headers=request.headers)
    events = (head, h11.Data(request.body), h11.EndOfMessage())
    return b"".join(connection.send(event) or b"" for event in events)


async def _read_answer(connection: h11.Connection, reader: asyncio.StreamReader) -> Answer:
    head: h11.Response | None = None
    body = bytearray()
    for _ in range(_EVENT_LIMIT):
        event = connection.next_event()
        if event is h11.NEED_DATA:
            connection.receive_data(await reader.read(_PIECE_BYTES))
            await asyncio.sleep(0)  # a server that sends fast leaves others their turn
        elif isinstance(event, h11.Response):
            head = event
        elif isinstance(event, h11.Data):
            body += event.data
        if head is not None and (len(body) > ANSWER_LIMIT_BYTES or isinstance(event, h11.EndOfMessage)):
            return Answer(head, bytes(body[:ANSWER_LIMIT_BYTES]), len(body) > ANSWER_LIMIT_BYTES)
    raise EgressFailed(f"The answer came in more than {_EVENT_LIMIT} pieces.")
