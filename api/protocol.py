"""How requests arrive: uvicorn's HTTP protocol, with bounds on what a client may send and on how long it may take.

uvicorn sets no limit to the head of a request, and waits for the rest of a request for ever.
"""

import asyncio
from typing import Any, ClassVar

import structlog
from uvicorn.protocols.http.httptools_impl import STATUS_LINE, HttpToolsProtocol

from api.errors import problem
from api.faults import BadRequest, HeadTooLarge, RequestTimeout
from api.middleware import SECURITY
from api.record import RequestRecord
from rustok.kernel.errors import RustokError
from rustok.kernel.ids import uuid7

log = structlog.get_logger(__name__)

HEAD_LIMIT_BYTES = 32 * 1024
_LINGER_S = 2.0
"""A connection that was closed at once, while its client still writes, would be reset before the answer is read."""


class BoundedProtocol(HttpToolsProtocol):
    """Refuses heads that are too large (431), too slow (408) or none (400); closes connections that stay silent.

    Memory that a head takes is bounded by its limit and one read from the socket.
    """

    patience_s: ClassVar[float] = 30.0
    """For a whole request, from its first bytes on, or for these from the connection on."""

    def __init__(self, *arguments: Any, **named: Any) -> None:
        super().__init__(*arguments, **named)
        self._deadline: asyncio.TimerHandle | None = None
        self._is_in_head = False
        self._is_refused = False
        self._head_bytes = 0
        self._kept_bytes = 0
        """What the parser was given since it last told of something: it keeps a field until that ends."""

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override] # as the base has it
        super().connection_made(transport)
        self._wait(self.patience_s)

    def connection_lost(self, exc: Exception | None) -> None:
        self._stop_waiting()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        if self._is_refused:
            return
        self._kept_bytes += len(data)
        kept_bytes = self._kept_bytes
        super().data_received(data)
        if self._kept_bytes == kept_bytes > HEAD_LIMIT_BYTES:
            self._refuse(_too_large())
        elif self._has_whole_request():
            self._stop_waiting()
        elif self._deadline is None:
            self._wait(self.patience_s)

    def on_message_begin(self) -> None:
        self._stop_waiting()
        self._is_in_head, self._head_bytes = True, 0
        super().on_message_begin()

    def on_url(self, url: bytes) -> None:
        self._count(len(url))
        super().on_url(url)

    def on_header(self, name: bytes, value: bytes) -> None:
        self._count(len(name) + len(value))
        super().on_header(name, value)

    def on_headers_complete(self) -> None:
        self._is_in_head = False
        super().on_headers_complete()

    def on_body(self, body: bytes) -> None:
        self._kept_bytes = 0
        super().on_body(body)

    def send_400_response(self, msg: str) -> None:
        """Answer what the parser has refused, or `on_header` by way of it."""
        self._refuse(_too_large() if self._head_bytes > HEAD_LIMIT_BYTES else BadRequest(msg))

    def _count(self, size_bytes: int) -> None:
        self._kept_bytes = 0
        self._head_bytes += size_bytes
        if self._head_bytes > HEAD_LIMIT_BYTES:
            raise _too_large()

    def _has_whole_request(self) -> bool:
        """Tell whether the next thing to come is an answer of ours."""
        return self.cycle is not None and not self.cycle.more_body and not self.cycle.response_complete

    def _wait(self, for_s: float) -> None:
        self._deadline = self.loop.call_later(for_s, self._give_up)

    def _stop_waiting(self) -> None:
        if self._deadline is not None:
            self._deadline.cancel()
            self._deadline = None

    def _give_up(self) -> None:
        if self._is_in_head and not self._is_refused:
            self._refuse(RequestTimeout(f"The head did not arrive within {self.patience_s:g} s: send it again."))
        else:
            self.transport.close()

    def _refuse(self, error: RustokError) -> None:
        """Answer with a problem and say goodbye; where an earlier request waits for its answer, only the latter."""
        if self.transport.is_closing():
            return
        self._stop_waiting()
        self._is_refused = True
        if self.cycle is not None and not self.cycle.response_complete:
            self.transport.close()
            return
        record = RequestRecord(str(uuid7()), uuid7(), traceparent=None)
        log.info("http_request_refused", request_id=record.request_id, code=error.code)
        self.transport.write(_answer(error, record, self.server_state.default_headers))
        if self.transport.can_write_eof():
            self.transport.write_eof()
        self._wait(_LINGER_S)


def _too_large() -> HeadTooLarge:
    return HeadTooLarge(f"The head exceeds {HEAD_LIMIT_BYTES} bytes: send fewer headers, or a shorter address.")


def _answer(error: RustokError, record: RequestRecord, headers: list[tuple[bytes, bytes]]) -> bytes:
    response = problem(error, record, {"X-Request-Id": record.request_id, **SECURITY, "Connection": "close"})
    lines = [b"%b: %b\r\n" % field for field in (*headers, *response.raw_headers)]
    return b"".join([STATUS_LINE[response.status_code], *lines, b"\r\n", response.body])
