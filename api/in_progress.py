"""Bounds how many requests this process works at. What is over that waits for its turn, and is refused if none comes.

Without a bound, who waits does so in the middle of the work, and costs those who could be served. A refusal costs
something, too: if it came at once, clients that ask again at once would leave time for little else.
"""

import asyncio
from collections import deque
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from api.errors import problem
from api.faults import Overloaded
from api.record import record_of
from rustok.telemetry.metrics import REQUESTS_SHED

_PATIENCE_S = 2.0
_RETRY_AFTER_S = 1
_KEY = "rustok.place"


class InProgress:
    """Lets *most* requests for paths with one of *prefixes* be in progress; what else is asked for is always answered.

    A request is in progress from its turn to the first byte of its answer, but for the time in which it waits for its
    client or, `aside`, for others. So neither slow bodies nor streams keep anybody out.
    """

    def __init__(self, app: ASGIApp, prefixes: tuple[str, ...], most: int, patience_s: float = _PATIENCE_S) -> None:
        self._app = app
        self._prefixes = prefixes
        self._places = Places(most, patience_s)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http" or not _path(scope).startswith(self._prefixes):
            await self._app(scope, receive, send)
        elif await self._places.come():
            await self._serve(scope, receive, send)
        else:
            REQUESTS_SHED.inc()
            refusal = Overloaded("Too many requests are in progress here: send this one later.", _RETRY_AFTER_S)
            await problem(refusal, record_of(scope))(scope, receive, send)

    async def _serve(self, scope: Scope, receive: Receive, send: Send) -> None:
        place = scope[_KEY] = Place(self._places)

        async def receive_aside() -> Message:
            with place.left():
                return await receive()

        async def send_and_leave(message: Message) -> None:
            place.leave()
            await send(message)

        try:
            await self._app(scope, receive_aside, send_and_leave)
        finally:
            place.leave()


class Places:
    """So many places, taken in the order of coming. No more wait than there are connections: each has one request."""

    def __init__(self, most: int, patience_s: float) -> None:
        self._most = most
        self._patience_s = patience_s
        self._waiting: deque[asyncio.Future[None]] = deque()
        self.taken = 0

    async def come(self) -> bool:
        """Take a place, as soon as there is one; tell whether there was."""
        if self.taken < self._most:
            self.taken += 1
            return True
        turn = asyncio.get_running_loop().create_future()
        self._waiting.append(turn)
        try:
            await asyncio.wait([turn], timeout=self._patience_s)
        except asyncio.CancelledError:
            if turn.done():
                self.leave()
            raise
        finally:
            if not turn.done():
                self._waiting.remove(turn)
        return turn.done()

    def leave(self) -> None:
        """Give a place back, to who has waited for the longest time."""
        self.taken -= 1
        if self._waiting and self.taken < self._most:
            self.taken += 1
            self._waiting.popleft().set_result(None)


class Place:
    """The place of one request, taken at first."""

    def __init__(self, places: Places) -> None:
        self._places = places
        self._is_taken = True

    def leave(self) -> None:
        if self._is_taken:
            self._is_taken = False
            self._places.leave()

    @contextmanager
    def left(self) -> Iterator[None]:
        """Leave the place meanwhile, and take one again at once: what has been begun is not put off."""
        was_taken = self._is_taken
        self.leave()
        try:
            yield
        finally:
            if was_taken:
                self._is_taken = True
                self._places.taken += 1


def aside(scope: Scope) -> AbstractContextManager[None]:
    """Let the request of *scope* not count as in progress meanwhile: it waits, and costs nothing."""
    place: Place | None = scope.get(_KEY)
    return place.left() if place else nullcontext()


def _path(scope: Scope) -> str:
    """Return the path as routes see it, below where a proxy has put this application."""
    path: str = scope["path"]
    return path.removeprefix(scope.get("root_path", ""))
