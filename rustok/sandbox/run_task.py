"""Children that run hooks."""

import json
from collections.abc import Callable
from typing import Any

from rustok.sandbox import rehearsal
from rustok.sandbox.child import exchange, usage
from rustok.sandbox.frames import Kind, json_frame, read_frame
from rustok.sandbox.language.runtime import run
from rustok.sandbox.seccomp import SOCKET_FD


class RunTask:
    fruitless: tuple[str, ...] = ()

    def __init__(self) -> None:
        self._everything, self._essence = rehearsal.everything(), rehearsal.essence()

    def rehearse(self) -> None:
        for fails in (False, True):
            _run(self._everything, fails=fails)

    def warm_up(self) -> None:
        _run(self._essence, fails=False)

    def serve(self, relieve: Callable[[], None]) -> bytes:
        _, bytecode = read_frame(SOCKET_FD)
        _, payload = read_frame(SOCKET_FD)
        answer = run(bytecode, json.loads(payload), exchange, relieve)
        relieve()
        return json_frame(Kind.RESULT, {**answer, "usage": usage()})


def _run(code: bytes, *, fails: bool) -> None:
    job = json.loads(json.dumps({**rehearsal.JOB, "event": {**rehearsal.EVENT, "fail": fails}}))
    answer = run(code, job, _answer)
    json_frame(Kind.RESULT, {**answer, "usage": usage()})
    if (answer["fault"] is not None) is not fails:
        raise RuntimeError(answer["fault"])


def _answer(call: dict[str, Any]) -> dict[str, Any]:
    json_frame(Kind.CALL, call)
    return {"value": rehearsal.answer(call["call"])}
