"""`/api/v1/operations/{id}/events`: an operation as a stream of server-sent events, up to its end."""

from collections.abc import AsyncIterator
from typing import cast

from starlette.requests import Request
from starlette.responses import Response, StreamingResponse
from starlette.routing import Route

from api.caller import Caller, Callers
from api.routes import PREFIX
from rustok.bootstrap import Platform
from rustok.jobs.module import GET_OPERATION, JOBS
from rustok.jobs.operations import Operation
from rustok.kernel.errors import Busy, Forbidden, ModuleOff, NotFound, Unauthenticated
from rustok.kernel.ports import Clock

_POLL_S = 0.25
_SILENCE_S = 15.0
"""After this long a comment is sent, so that proxies keep the connection."""
_STREAMS = 200
_HEADERS = {"Cache-Control": "no-store", "X-Accel-Buffering": "no"}


def operation_events_route(platform: Platform, callers: Callers, clock: Clock) -> Route:
    """Return the route; this process serves a bounded number of streams at a time, more are answered `busy`."""
    watched = _Watched(platform, callers, clock)
    return Route(f"{PREFIX}/operations/{{operation_id}}/events", watched.answer)


class _Watched:
    def __init__(self, platform: Platform, callers: Callers, clock: Clock) -> None:
        self._platform = platform
        self._callers = callers
        self._clock = clock
        self._streams = 0

    async def answer(self, request: Request) -> Response:
        async with self._callers.identified(request, JOBS.name) as caller:
            first = await self._look(caller, request)
            if self._streams >= _STREAMS:
                raise Busy(f"{_STREAMS} operations are watched here now: ask for the operation itself.")
            return StreamingResponse(self._stream(caller, request, first), 200, _HEADERS, "text/event-stream")

    async def _stream(self, caller: Caller, request: Request, found: Operation) -> AsyncIterator[str]:
        self._streams += 1
        try:
            yield _event(found)
            silent_s = 0.0
            while found.finished_at is None and found.status != "failed":
                await self._clock.sleep(_POLL_S)
                silent_s += _POLL_S
                try:
                    before, found = found, await self._look(caller, request)
                except (Unauthenticated, Forbidden, ModuleOff, NotFound):  # whoever asks again is told
                    return
                if found != before:
                    yield _event(found)
                elif silent_s >= _SILENCE_S:
                    yield ": still here\n\n"
                else:
                    continue
                silent_s = 0.0
        finally:
            self._streams -= 1

    async def _look(self, caller: Caller, request: Request) -> Operation:
        arguments = request.path_params
        dispatcher = self._platform.dispatcher
        return cast("Operation", await caller.run(lambda c: dispatcher.query(GET_OPERATION, arguments, c)))


def _event(operation: Operation) -> str:
    return f"event: {operation.status}\ndata: {operation.model_dump_json()}\n\n"
