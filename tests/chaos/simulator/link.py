"""The way to a server: what is asked takes time, may not arrive, may be executed and not answered."""

import asyncio
from collections.abc import Callable
from functools import partial
from typing import Any, TypeVar

from tests.chaos.simulator.database import RowLocked, Transaction
from tests.chaos.simulator.faults import Faults
from tests.chaos.simulator.process import Process
from tests.chaos.simulator.timeline import Timeline

Answer = TypeVar("Answer")

_IDLE_IN_TRANSACTION_S = 2.0
"""PostgreSQL ends the transaction of a client that has been silent for so long."""
_DEADLOCK_S = 1.0
"""PostgreSQL lets nobody wait for ever: one of two that wait for each other gets an error."""


class Server:
    """Whether a server answers now."""

    def __init__(self) -> None:
        self.is_away = False


class FaultyWire:
    """A connection of a simulated process to a server."""

    def __init__(
        self,
        process: Process,
        server: Server,
        timeline: Timeline,
        faults: Faults,
        on_request: Callable[[Process], None],
    ) -> None:
        """*on_request* is told whose request the server is about to execute."""
        self._on_request = on_request
        self._process = process
        self._server = server
        self._timeline = timeline
        self._faults = faults
        self._free_at_s = 0.0
        self._is_lost = False
        self._when_gone: list[Callable[[], None]] = []

    def when_gone(self, action: Callable[[], None]) -> None:
        if self._is_lost or self._process.is_dead:
            action()
        self._when_gone.append(action)
        self._process.when_dead.append(self._lose)
        self._process.when_stopped.append(partial(self._watch, action))

    def close(self) -> None:
        self._timeline.at(self._later(), self._lose)

    async def call(self, work: Callable[[], Answer]) -> Answer:
        if self._process.is_dead or self._is_lost:
            raise ConnectionResetError("the connection is lost")
        reply: asyncio.Future[Answer] = self._process.loop.create_future()
        self._timeline.at(self._later(), partial(self._arrive, work, reply))
        return await reply

    def _later(self) -> float:
        """Return when the next request arrives: after those before it."""
        self._free_at_s = max(self._free_at_s, self._timeline.now_s + self._faults.latency_s())
        return self._free_at_s

    def _arrive(self, work: Callable[[], Any], reply: asyncio.Future[Any]) -> None:
        fault = self._faults.of_a_request(self._process)
        if fault == "killed":
            self._process.kill()
        elif self._is_lost or self._server.is_away or fault == "lost":
            self._lose()
            self._answer(reply, ConnectionResetError("the server does not answer"))
        else:
            self._execute(work, reply)

    def _execute(self, work: Callable[[], Any], reply: asyncio.Future[Any]) -> None:
        answer: object = None
        self._on_request(self._process)
        try:
            answer = work()
        except RowLocked as locked:
            self._wait(locked.holder, work, reply)
            return
        except Exception as error:  # noqa: BLE001 - it is the caller's
            answer = error
        fault = self._faults.of_a_request(self._process)
        if fault == "killed":
            self._process.kill()
        elif fault == "lost":
            self._lose()
            self._answer(reply, ConnectionResetError("the connection broke before the answer"))
        else:
            self._answer(reply, answer)

    def _wait(self, holder: Transaction, work: Callable[[], Any], reply: asyncio.Future[Any]) -> None:
        is_over = False

        def end(then: Callable[[], None]) -> None:
            nonlocal is_over
            if not is_over:
                is_over = True
                then()

        holder.when_ended(partial(end, partial(self._execute, work, reply)))
        self._timeline.after(_DEADLOCK_S, partial(end, partial(self._answer, reply, TimeoutError("row is locked"))))

    def _answer(self, reply: asyncio.Future[Any], answer: object) -> None:
        deliver = partial(self._process.loop.call_now, _settle, reply, answer)
        self._timeline.after(self._faults.latency_s(), deliver)

    def _lose(self) -> None:
        self._is_lost = True
        actions, self._when_gone = self._when_gone, []
        for action in actions:
            action()

    def _watch(self, action: Callable[[], None]) -> None:
        self._timeline.after(_IDLE_IN_TRANSACTION_S, lambda: action() if self._process.is_stopped else None)


def _settle(reply: asyncio.Future[Any], answer: object) -> None:
    if reply.done():
        return  # the caller was cancelled meanwhile
    if isinstance(answer, Exception):
        reply.set_exception(answer)
    else:
        reply.set_result(answer)
