"""The life of a child: lock down, warm up, serve once, end."""

import gc
import json
import mmap
import os
import resource
import sys
import time
from collections.abc import Callable, Collection
from typing import Any, NamedTuple, NoReturn, Protocol

from rustok.sandbox import lockdown
from rustok.sandbox.frames import MOST_CALL_BYTES, Kind, json_frame, read_frame, write_all
from rustok.sandbox.language.runtime import running_line
from rustok.sandbox.seccomp import SOCKET_FD
from rustok.sandbox.wire import BROKEN_EXIT, OUT_OF_MEMORY_EXIT

_RESERVE_BYTES = 1 << 20
"""Address space kept back, so that a child without memory can still say so."""


class Task(Protocol):
    """What children of one zygote are for."""

    fruitless: tuple[str, ...]
    """System calls that fail instead of killing."""

    def rehearse(self) -> None:
        """Do once all that a run may do, so that everything is loaded that it needs."""

    def warm_up(self) -> None:
        """Do once what every run does: the pages that it writes are the child's own from then on."""

    def serve(self, relieve: Callable[[], None]) -> bytes:
        """Take one piece of work from the socket; return the frame that answers it."""


class Prepared(NamedTuple):
    """What a forker has made ready for all its children."""

    lockdown: lockdown.Lockdown
    reserve: mmap.mmap


def prepare(layers: Collection[str], fruitless: tuple[str, ...]) -> Prepared:
    """Do once, in the forker, what each child would have to do."""
    lockdown.call_for_last_words(tell_line)
    reserve = mmap.mmap(-1, _RESERVE_BYTES)
    return Prepared(lockdown.Lockdown(layers, fruitless), reserve)


class Order(NamedTuple):
    """What the worker wants of one child."""

    cpu_ms: int
    memory_bytes: int
    layers: Collection[str]
    hurry: bool


def live(
    task: Task,
    order: Order,
    parent: int,
    prepared: Prepared,
    probe: Callable[[], None] | None,
) -> NoReturn:
    """Be a child: warm up, lock down, serve once; or, once locked down, *probe* how well that holds."""
    status = BROKEN_EXIT
    try:
        prepared.lockdown.die_with(parent)
        if not order.hurry:
            task.warm_up()
        gc.enable()
        prepared.lockdown.seal(order.cpu_ms, order.memory_bytes, order.layers)
        write_all(SOCKET_FD, json_frame(Kind.READY, usage()))
        if probe:
            probe()
        else:
            answer = task.serve(prepared.reserve.close)
            prepared.reserve.close()
            write_all(SOCKET_FD, answer)
        status = 0
    except MemoryError:
        status = OUT_OF_MEMORY_EXIT
    except BaseException:  # noqa: BLE001, S110 - whoever waits for the answer sees that there is none
        pass
    os._exit(status)


def usage() -> dict[str, int]:
    """Return what this process has used since it began: CPU time, and the most memory it ever held."""
    return {
        "cpu_us": int(time.process_time() * 1e6),
        "peak_bytes": peak_bytes(resource.getrusage(resource.RUSAGE_SELF)),
    }


def peak_bytes(used: resource.struct_rusage) -> int:
    return used.ru_maxrss * (1 if sys.platform == "darwin" else 1024)


def tell_line() -> None:
    """Say which line runs. No other frame can be half written then: the child writes none while a hook runs."""
    line = running_line()
    if line is not None:
        write_all(SOCKET_FD, json_frame(Kind.LINE, line))


def exchange(call: dict[str, Any]) -> dict[str, Any]:
    """Ask the worker."""
    question = json_frame(Kind.CALL, call)
    if len(question) > MOST_CALL_BYTES:
        message = f"the call has {len(question)} bytes; {MOST_CALL_BYTES} are allowed"
        return {"error": {"code": "call_too_large", "message": message}}
    write_all(SOCKET_FD, question)
    _, payload = read_frame(SOCKET_FD)
    answer: dict[str, Any] = json.loads(payload)
    return answer
