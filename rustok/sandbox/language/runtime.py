"""One run of a hook inside a child: drives `handle` by hand, records what it wants done, explains what went wrong."""

import builtins
import random
import sys
from collections.abc import Callable, Mapping
from types import CodeType, CoroutineType, FrameType
from typing import Any

from rustok.sandbox.language.bytecode import load
from rustok.sandbox.language.context import Context, Request, State, Stop
from rustok.sandbox.language.facades import HookDatetime, importer, seeded
from rustok.sandbox.language.values import Unfit, clean, size

Exchange = Callable[[dict[str, Any]], dict[str, Any]]
SAFE = """
abs all any ascii bin bool bytearray bytes callable chr classmethod complex dict divmod enumerate filter float
frozenset hex int isinstance issubclass iter len list map max min next oct ord pow property range repr reversed
round set slice sorted staticmethod str sum super tuple zip aiter anext Exception ArithmeticError AssertionError
AttributeError ImportError IndexError KeyError LookupError MemoryError NameError NotImplementedError OverflowError
RecursionError RuntimeError StopIteration StopAsyncIteration TimeoutError TypeError UnicodeError ValueError
ZeroDivisionError NotImplemented Ellipsis None True False __build_class__
""".split()  # noqa: SIM905 - names, not texts
"""Builtins that a hook gets. None of them looks anything up by name."""
_BUILTINS = {name: getattr(builtins, name) for name in SAFE}


def run(
    bytecode: bytes, job: dict[str, Any], exchange: Exchange, relieve: Callable[[], None] = lambda: None
) -> dict[str, Any]:
    """Run a hook once. Never raises for what the hook does: that is the `fault`.

    *relieve* is called when the memory is used up: it gives some back, so that this can be told.
    """
    chance = random.Random(job["seed"])  # noqa: S311 - a replay must give the same
    state = State(job["limits"])
    namespace = seeded(chance)
    result, fault, output_bytes = None, None, 0
    try:
        moment = HookDatetime.fromisoformat(job["now"])
        context = Context(state, job, moment, namespace, random.Random(f"ids:{job['seed']}"))  # noqa: S311
        result = clean(drive(start(load(bytecode), job["event"], context, namespace), state, exchange))
        output_bytes = state.bytes + size(result)
        if output_bytes > state.output_limit:
            fault = state.too_large(output_bytes)
    except Unfit as error:
        fault = explain(error, "invalid_result", "return plain JSON values")
    except Stop:
        fault = state.fault
    except MemoryError as error:
        relieve()
        fault = explain(error, "memory_exceeded", "keep less in memory at once")
    except RecursionError as error:
        fault = explain(error, "exception", "the hook calls itself without an end")
    except BaseException as error:  # noqa: BLE001 - a hook's error is an answer
        fault = explain(error, "exception", None)
    fault = state.fault or fault
    return {
        "result": None if fault else result,
        "effects": [] if fault else state.effects,
        "logs": state.logs,
        "log_truncated": state.log_truncated,
        "output_bytes": output_bytes,
        "log_bytes": state.log_bytes,
        "fault": fault,
    }


def start(code: CodeType, event: Mapping[str, Any], context: Context, chance: object) -> Any:
    names = {**_BUILTINS, "__import__": importer(chance), "print": context.print}  # type: ignore[arg-type]
    scope: dict[str, Any] = {"__builtins__": names, "__name__": "hook"}
    exec(code, scope)  # noqa: S102 - what the cage is for
    return scope["handle"](event, context)


def drive(coroutine: Any, state: State, exchange: Exchange) -> Any:
    if type(coroutine) is not CoroutineType:
        raise TypeError("handle must be a coroutine: async def without yield")
    answer: Any = None
    error: Exception | None = None
    while True:
        try:
            asked = coroutine.throw(error) if error else coroutine.send(answer)
        except StopIteration as end:
            return end.value
        answer, error = None, None
        if type(asked) is not Request:
            error = TypeError("only what ctx offers can be awaited")
            continue
        reply = exchange(asked._admit(state))  # noqa: SLF001 - no name that a hook can say
        if "error" in reply:
            error = RuntimeError(f"{reply['error']['code']}: {reply['error']['message']}")
        else:
            answer = reply["value"]


def explain(error: BaseException, code: str, hint: str | None) -> dict[str, Any]:
    """A fault with the line of the hook's innermost frame; a message of 500 characters at most."""
    try:
        text = f"{type(error).__name__}: {error}"
    except BaseException:  # noqa: BLE001 - the hook's own __str__ may raise what it kept of an earlier end
        text = type(error).__name__
    line, trace = None, error.__traceback__
    while trace:
        if trace.tb_frame.f_code.co_filename == "<hook>":
            line = trace.tb_lineno
        trace = trace.tb_next
    message = text[:500].encode("utf-8", "replace").decode().replace("\x00", "?")
    return {"code": code, "message": message, "line": line, "column": None, "hint": hint}


def running_line() -> int | None:
    """The line of the hook that is running now, for a signal handler."""
    frame: FrameType | None = sys._getframe()  # noqa: SLF001
    while frame and frame.f_code.co_filename != "<hook>":
        frame = frame.f_back
    return frame.f_lineno if frame else None


__all__ = ["run", "running_line"]
