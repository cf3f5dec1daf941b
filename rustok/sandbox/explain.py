"""Why a run ended without an answer, as its author is told."""

import os
import signal

from rustok.sandbox.contract import Fault, Limits
from rustok.sandbox.leased import Death
from rustok.sandbox.wire import BROKEN_EXIT, OUT_OF_MEMORY_EXIT

_CPU_HINT = "do less in one run, or ask for more CPU time"
_CRASHES = (signal.SIGSEGV, signal.SIGBUS, signal.SIGABRT, signal.SIGILL, signal.SIGFPE, signal.SIGTRAP)
_NEARLY = 0.9
"""A kill that comes with less of the CPU time used was not that of the timer."""


def death_fault(death: Death | None, limits: Limits, line: int | None) -> Fault | None:
    """Return the fault of a child that is gone, or None where it was no fault of the script's."""
    if death is None:
        return None
    if death.is_overgrown:
        return memory_exceeded(limits, death.peak_bytes, line)
    if os.WIFEXITED(death.status):
        return _ended_without_answer(os.WEXITSTATUS(death.status), death, limits)
    return _killed(os.WTERMSIG(death.status), death, limits, line)


def _killed(number: int, death: Death, limits: Limits, line: int | None) -> Fault | None:
    if number == signal.SIGKILL:
        return cpu_exceeded(limits, death.cpu_us // 1000, line) if is_cpu_used(death, limits) else None
    if number == signal.SIGSYS:
        return policy_violation("the script asked the system for what no script may")
    if number in _CRASHES:
        name = signal.Signals(number).name
        hint = "look for recursion without an end in nested data, or for huge values"
        return Fault(code="exception", message=f"the interpreter crashed: {name}", line=line, hint=hint)
    return None  # SIGTERM and its like: a script can send none, so somebody outside has


def is_cpu_used(death: Death, limits: Limits) -> bool:
    """Tell whether a kill was, or would have been, that of the timer."""
    return death.cpu_us // 1000 >= limits.cpu_ms * _NEARLY


def broken_again(death: Death | None) -> Fault | None:
    """Return the fault of a child that broke by itself, for when others break of the same work."""
    if death is None or not os.WIFEXITED(death.status) or os.WEXITSTATUS(death.status) != BROKEN_EXIT:
        return None
    hint = "make it simpler, and tell your operator"
    return Fault(code="exception", message="the process of the run broke down each time", hint=hint)


def is_from_outside(status: int) -> bool:
    """Tell whether a child was ended by somebody else: by a signal that it cannot bring upon itself."""
    return os.WIFSIGNALED(status) and os.WTERMSIG(status) not in {*_CRASHES, signal.SIGSYS}


def cpu_exceeded(limits: Limits, used_ms: int, line: int | None) -> Fault:
    message = f"the run used {used_ms} ms of CPU time; {limits.cpu_ms} ms are allowed"
    return Fault(code="cpu_exceeded", message=message, hint=_CPU_HINT, limit=limits.cpu_ms, used=used_ms, line=line)


def wall_timeout(limits: Limits, used_ms: int, line: int | None) -> Fault:
    message = f"the run took {used_ms} ms, without host calls; {limits.wall_ms} ms are allowed"
    hint = "do less in one run"
    return Fault(code="wall_timeout", message=message, hint=hint, limit=limits.wall_ms, used=used_ms, line=line)


def memory_exceeded(limits: Limits, peak_bytes: int, line: int | None) -> Fault:
    """`used` is what was held; what would not fit any more is not known."""
    message = f"the run needed more than {limits.memory_bytes} bytes of memory"
    hint, limit = "keep less in memory at once", limits.memory_bytes
    return Fault(code="memory_exceeded", message=message, hint=hint, limit=limit, used=peak_bytes, line=line)


def over(code: str, hint: str, limit: int, used: int) -> Fault:
    """What the host counts."""
    return Fault(code=code, message=f"{code}: {used} of {limit}", hint=hint, limit=limit, used=used)


def invalid_result(message: str) -> Fault:
    return Fault(
        code="invalid_result", message=f"the answer cannot be read: {message}", hint="return plain JSON values"
    )


def policy_violation(message: str) -> Fault:
    return Fault(code="policy_violation", message=message, hint="scripts have no system: use ctx")


def _ended_without_answer(status: int, death: Death, limits: Limits) -> Fault | None:
    if status == OUT_OF_MEMORY_EXIT:
        return memory_exceeded(limits, death.peak_bytes, None)
    if status == BROKEN_EXIT:
        return None
    return policy_violation("the script ended its process")
